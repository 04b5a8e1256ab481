//! Plugins in JSON.

use restante_store::{ComponentDigest, InstalledPlugin};
use restante_types::Octets;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Time, Unfit};

/// An installed plugin.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct PluginView {
    /// Its name.
    pub(crate) name: String,
    /// Whether it may be called.
    pub(crate) enabled: bool,
    /// The SHA-256 of the component in force, in hexadecimal digits.
    pub(crate) sha256: String,
    /// Its octets.
    pub(crate) octets: u64,
    /// When it was installed.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) installed_at: Time,
    /// The SHA-256 of the component before it, which can be put in force again.
    pub(crate) previous_sha256: Option<String>,
    /// The storages of this frontend's configuration that use it.
    pub(crate) storages: Vec<String>,
}

impl PluginView {
    pub(crate) fn new(plugin: InstalledPlugin, storages: Vec<String>) -> Self {
        Self {
            enabled: plugin.is_enabled,
            sha256: hex(&plugin.component),
            octets: plugin.octets.get(),
            installed_at: Time(plugin.installed_at),
            previous_sha256: plugin.previous.as_ref().map(hex),
            name: plugin.name,
            storages,
        }
    }
}

impl TryFrom<PluginView> for InstalledPlugin {
    type Error = Unfit;

    fn try_from(view: PluginView) -> Result<Self, Unfit> {
        let digest = |text: &str| digest_of(text).ok_or(Unfit("sha256"));
        Ok(Self {
            name: view.name,
            is_enabled: view.enabled,
            component: digest(&view.sha256)?,
            octets: Octets(view.octets),
            previous: view.previous_sha256.as_deref().map(digest).transpose()?,
            installed_at: view.installed_at.0,
        })
    }
}

/// What to change in a plugin.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PluginChange {
    /// Whether it may be called.
    pub(crate) enabled: bool,
}

fn hex(digest: &ComponentDigest) -> String {
    let mut text = String::with_capacity(2 * digest.len());
    for octet in digest {
        for half in [octet >> 4, octet & 0x0f] {
            text.extend(char::from_digit(u32::from(half), 16));
        }
    }
    text
}

fn digest_of(text: &str) -> Option<ComponentDigest> {
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let pairs = text.as_bytes().chunks(2);
    let octets = pairs.map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok());
    octets.collect::<Option<Vec<u8>>>()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_come_back() {
        let digest: ComponentDigest = std::array::from_fn(|n| u8::try_from(n * 7).unwrap());
        assert_eq!(digest_of(&hex(&digest)), Some(digest));
        assert_eq!(digest_of("00"), None);
        assert_eq!(digest_of(&"+1".repeat(32)), None);
    }
}
