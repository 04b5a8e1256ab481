//! Cases of the index: what a session sees, what UPDATE removes, what delivery adds, what the collector may take.

mod custody;
mod delivery;
mod ledger;
mod refresh;
mod repeat;
mod scene;
mod snapshot;
mod update;

pub use custody::*;
pub use delivery::*;
pub use ledger::*;
pub use refresh::*;
pub use repeat::*;
pub use snapshot::*;
pub use update::*;

/// The only list of these cases.
#[doc(hidden)]
#[macro_export]
macro_rules! mail_index_cases {
    ($then:ident { $($arg:tt)* }) => { $crate::$then! { { $($arg)* } mail_index:
        an_empty_maildrop_has_no_messages,
        a_message_comes_back_as_it_was_measured,
        messages_come_in_the_order_of_delivery,
        a_hundred_thousand_messages_come_in_order_with_their_sizes,
        a_snapshot_stays_while_mail_arrives,
        two_snapshots_of_one_session_agree,
        a_released_fence_sees_nothing,
        a_superseded_fence_sees_nothing,
        a_fence_for_an_unknown_maildrop_sees_nothing,
        two_tenants_do_not_meet,
        a_restart_keeps_messages,
        a_refresh_after_deliveries_and_deletions_is_a_snapshot,
        a_refresh_sees_what_others_change,
        a_listing_of_another_past_is_not_gone_on_with,
        a_refresh_of_a_superseded_fence_sees_nothing,
        commit_removes_exactly_the_marked,
        commit_of_all_empties_the_maildrop,
        commit_of_nothing_removes_nothing,
        commit_keeps_mail_that_arrived_meanwhile,
        commit_leaves_other_maildrops_alone,
        commit_twice_answers_the_first_receipt,
        commit_twice_answers_the_first_receipt_after_release,
        commit_of_messages_partly_gone_removes_the_rest,
        commit_of_a_superseded_session_removes_nothing,
        commit_of_a_released_session_removes_nothing,
        commit_of_an_ended_session_removes_nothing_when_nobody_followed,
        commit_with_a_token_of_the_future_removes_nothing,
        of_a_commit_and_a_takeover_one_wins,
        racing_commits_of_one_session_remove_once,
        outcome_of_a_commit_is_its_receipt,
        outcome_without_a_commit_is_none,
        outcome_of_another_sessions_commit_is_none,
        outcome_none_ends_the_fence,
        outcome_none_frees_the_maildrop,
        outcome_of_a_dropped_commit_is_all_or_nothing,
        outcome_after_a_takeover_is_the_receipt,
        a_restart_keeps_updates,
        usage_counts_what_is_there,
        usage_is_exact_after_commit,
        usage_passes_4_gib,
        usage_of_an_unknown_maildrop_is_refused,
        usage_tells_the_quota,
        quota_of_messages_is_kept,
        quota_of_octets_is_kept_to_the_octet,
        deleted_messages_make_room,
        racing_deliveries_keep_the_quota,
        delivery_does_not_wait_for_the_session,
        delivery_without_a_reservation_is_refused,
        delivery_takes_the_reservation_once,
        delivery_on_anothers_reservation_is_refused,
        delivery_to_an_unknown_maildrop_is_refused,
        reservation_for_an_unknown_maildrop_is_refused,
        reserved_keys_are_never_alike,
        a_refused_delivery_adds_nothing,
        fresh_unique_ids_are_never_alike,
        a_unique_id_of_70_octets_is_kept,
        unique_ids_differ_by_case,
        a_unique_id_in_use_is_a_conflict,
        a_unique_id_of_a_deleted_message_is_a_conflict,
        a_unique_id_of_a_collected_message_is_a_conflict,
        the_same_unique_id_fits_another_maildrop,
        a_repeat_adds_nothing_and_is_answered_as_the_first,
        another_digest_or_another_maildrop_is_no_repeat,
        only_what_came_to_be_deduplicated_is_or_has_a_repeat,
        a_repeat_of_a_message_that_was_fetched_and_deleted_adds_nothing,
        after_a_day_it_is_a_message_again,
        a_repeat_needs_no_room,
        of_racing_repeats_one_is_delivered,
        the_octets_of_a_repeat_go_to_the_collector,
        nothing_is_condemned_in_a_fresh_index,
        a_live_message_is_never_condemned,
        messages_that_are_too_old_expire_for_their_tenant_alone,
        a_deleted_message_is_condemned_after_its_retention,
        retention_is_the_tenants_own,
        a_reservation_is_condemned_after_the_grace_time,
        a_condemned_reservation_cannot_be_delivered,
        the_condemned_are_listed_until_collected,
        collected_twice_is_the_same_as_once,
        collected_of_a_live_blob_forgets_nothing,
        the_limit_of_the_condemned_is_kept,
        a_delivery_and_the_collector_never_both_get_a_blob,
        while_collection_is_stopped_nothing_is_condemned,
        the_total_counts_what_is_there,
        every_message_is_told_once_deleted_or_not,
        a_stored_message_is_told_as_it_was_delivered,
        of_one_maildrop_others_are_left_out,
        what_nothing_names_is_found_and_nothing_else,
        restored_messages_are_back_at_their_place,
        restoring_what_is_not_deleted_changes_nothing,
        what_is_condemned_cannot_be_restored,
        restoring_in_an_unknown_maildrop_is_refused,
        a_moved_message_differs_in_its_place_alone,
        a_moved_message_s_old_octets_are_kept_for_a_while,
        a_message_that_was_moved_meanwhile_is_not_moved_again,
        a_message_that_was_collected_meanwhile_is_not_moved,
        a_deleted_message_is_moved_and_restored,
        a_move_without_a_reservation_is_refused,
        of_racing_moves_one_is_done,
        a_move_that_was_not_done_leaves_its_octets_to_the_collector,
    } };
}
