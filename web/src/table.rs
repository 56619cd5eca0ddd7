//! Written by build.mjs: the built files, by name.

use crate::Asset;

pub(crate) const ASSETS: &[Asset] = &[
    Asset { stem: "page", hash: "GLJEEMZN", extension: "css", bytes: include_bytes!("../dist/page.GLJEEMZN.css") },
    Asset { stem: "core", hash: "5U55M35S", extension: "js", bytes: include_bytes!("../dist/core.5U55M35S.js") },
    Asset { stem: "page", hash: "WC4TM7EN", extension: "js", bytes: include_bytes!("../dist/page.WC4TM7EN.js") },
    Asset { stem: "player", hash: "PM6ETMEI", extension: "js", bytes: include_bytes!("../dist/player.PM6ETMEI.js") },
];
