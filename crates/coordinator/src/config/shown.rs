//! The settings that hold, for whoever looks at a running daemon: as `tercet config show` has them.

use std::sync::Arc;

use crate::config::layers::{Layers, Origin};

/// One setting, as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownSetting {
    /// Its section.
    pub section: String,
    /// Its name there.
    pub key: String,
    /// Its value, without what is secret.
    pub value: String,
    /// Where that came from.
    pub origin: String,
    /// Whether it is as built in.
    pub is_default: bool,
}

/// All of them. They follow from what holds, and are no part of it.
#[derive(Debug, Clone, Default)]
pub struct ShownSettings(pub Arc<[ShownSetting]>);

impl PartialEq for ShownSettings {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for ShownSettings {}

impl ShownSettings {
    pub(super) fn of(layers: &Layers) -> Self {
        let all = layers.shown().map(|(section, key, value, origin)| ShownSetting {
            section: section.to_owned(),
            key: key.to_owned(),
            value: value.to_string(),
            origin: origin.to_string(),
            is_default: *origin == Origin::Default,
        });
        Self(all.collect())
    }
}
