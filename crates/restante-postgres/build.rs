//! Builds again when a migration comes or changes: `sqlx::migrate!` embeds them and does not notice by itself.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations/postgres");
}
