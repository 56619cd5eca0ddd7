//! Written by build.mjs: the built files, by name.

use crate::Asset;

pub(crate) const ASSETS: &[Asset] = &[
    Asset { stem: "page", hash: "GLJEEMZN", extension: "css", bytes: include_bytes!("../dist/page.GLJEEMZN.css") },
    Asset { stem: "core", hash: "43LEMU6N", extension: "js", bytes: include_bytes!("../dist/core.43LEMU6N.js") },
    Asset { stem: "page", hash: "45TUTKTS", extension: "js", bytes: include_bytes!("../dist/page.45TUTKTS.js") },
    Asset { stem: "player", hash: "WUAZS5N5", extension: "js", bytes: include_bytes!("../dist/player.WUAZS5N5.js") },
];
