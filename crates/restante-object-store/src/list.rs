//! What a directory of blobs holds.

use std::fs;
use std::io;
use std::path::Path;

use restante_store::BlobKey;

/// At most `limit` blobs whose path comes after one, in the order of their paths. Files that are no blobs are passed
/// over.
pub(crate) fn after(root: &Path, after: Option<&str>, limit: usize) -> io::Result<Vec<BlobKey>> {
    let mut keys = Vec::new();
    let (after_tenant, after_shard) = after.map(parts).unwrap_or_default();
    for tenant in names(root)?
        .into_iter()
        .filter(|tenant| tenant.as_str() >= after_tenant)
    {
        for shard in names(&root.join(&tenant))? {
            if tenant == after_tenant && shard.as_str() < after_shard {
                continue;
            }
            let files = names(&root.join(&tenant).join(&shard))?;
            let paths = files.iter().map(|file| format!("{tenant}/{shard}/{file}"));
            let later = paths.filter(|path| after.is_none_or(|after| path.as_str() > after));
            let room = limit.saturating_sub(keys.len());
            keys.extend(later.filter_map(|path| BlobKey::from_path(&path)).take(room));
            if keys.len() >= limit {
                return Ok(keys);
            }
        }
    }
    Ok(keys)
}

/// The tenant and the shard of a path.
fn parts(path: &str) -> (&str, &str) {
    let (tenant, rest) = path.split_once('/').unwrap_or((path, ""));
    (tenant, rest.split_once('/').map_or(rest, |(shard, _)| shard))
}

/// The names in a directory in order; none of what is no directory, or is gone.
fn names(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(Vec::new());
        }
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}
