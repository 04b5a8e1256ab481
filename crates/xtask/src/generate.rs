//! Pages that are made from the code, so that they cannot say what it does not do.

use std::path::Path;

use anyhow::Context as _;

use crate::shell::Workspace;

/// Each page, by its path in the workspace, with what it should hold.
pub(crate) fn pages() -> [(&'static str, String); 3] {
    [
        ("deploy/CONFIGURATION.md", restante_config::reference_markdown()),
        ("deploy/restante.example.toml", restante_config::example_toml()),
        ("deploy/METRICS.md", restante_telemetry::metrics_markdown()),
    ]
}

pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    for (page, text) in pages() {
        let file = workspace.root.join(page);
        if std::fs::read_to_string(&file).is_ok_and(|stored| stored == text) {
            println!("{page}: fresh");
            continue;
        }
        std::fs::create_dir_all(file.parent().unwrap_or(Path::new(".")))?;
        std::fs::write(&file, text).with_context(|| page.to_owned())?;
        println!("{page}: written");
    }
    Ok(())
}
