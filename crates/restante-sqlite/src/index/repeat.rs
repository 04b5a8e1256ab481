//! De-duplication: which message of the maildrop a delivery repeats.
//!
//! There is one writer, so of two deliveries that race the second finds the first.

use restante_store::{NewMessage, REPEAT_WINDOW, StoreError};
use restante_types::{MaildropId, UniqueId};

use crate::database::Tx;
use crate::error::failed;
use crate::sql;
use crate::values::{duration_to_row, time_to_row};

const OP: &str = "deliver";

/// The unique-id of the message that this one repeats.
pub(super) async fn repeated(
    tx: &mut Tx,
    maildrop: MaildropId,
    message: &NewMessage,
) -> Result<Option<UniqueId>, StoreError> {
    if !message.deduplicate {
        return Ok(None);
    }
    let after = time_to_row(message.received).saturating_sub(duration_to_row(REPEAT_WINDOW));
    let row: Option<(String,)> = sqlx::query_as(sql::RECENT_MESSAGE)
        .bind(maildrop.number())
        .bind(&message.measured.sha256[..])
        .bind(after)
        .fetch_optional(&mut **tx)
        .await
        .map_err(failed(OP))?;
    row.map(|(unique_id,)| UniqueId::new(unique_id))
        .transpose()
        .map_err(|error| failed(OP)(sqlx::Error::Decode(error.into())))
}

/// So that a message which follows can be found to repeat this one.
pub(super) async fn remember(
    tx: &mut Tx,
    maildrop: MaildropId,
    message: &NewMessage,
    unique_id: &UniqueId,
) -> Result<(), StoreError> {
    if !message.deduplicate {
        return Ok(());
    }
    sqlx::query(sql::REMEMBER_MESSAGE)
        .bind(maildrop.number())
        .bind(&message.measured.sha256[..])
        .bind(unique_id.as_str())
        .bind(time_to_row(message.received))
        .execute(&mut **tx)
        .await
        .map_err(failed(OP))?;
    Ok(())
}
