//! The memory back-ends, and the wrappers around them, keep every promise that memory can keep.

mod fixture;

use fixture::{
    MemoryBlobs, MemoryForeign, MemoryIndex, MemoryLocks, MemoryNames, MemoryPlugins, MemoryValues,
};
use restante_conformance::{
    blob_store_suite, directory_suite, foreign_maildrops_suite, key_value_suite, lock_manager_suite,
    mail_index_suite, plugin_registry_suite,
};

mail_index_suite!(MemoryIndex::open, except {
    a_restart_keeps_messages => "memory is forgotten when the process ends",
    a_restart_keeps_updates => "memory is forgotten when the process ends",
});
blob_store_suite!(MemoryBlobs::open, except {
    a_restart_keeps_blobs => "memory is forgotten when the process ends",
});
foreign_maildrops_suite!(MemoryForeign::open, except {
    a_restart_keeps_messages_elsewhere => "memory is forgotten when the process ends",
});
plugin_registry_suite!(MemoryPlugins::open, except {
    a_restart_keeps_plugins => "memory is forgotten when the process ends",
});
key_value_suite!(MemoryValues::open, except {
    a_restart_keeps_values => "memory is forgotten when the process ends",
});
lock_manager_suite!(MemoryLocks::open);
directory_suite!(MemoryNames::open, except {
    keys_never_come_back_over_a_restart => "memory is forgotten when the process ends",
    a_restart_keeps_the_directory => "memory is forgotten when the process ends",
    a_restart_keeps_what_logins_need => "memory is forgotten when the process ends",
});
