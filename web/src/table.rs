//! Written by build.mjs: the built files, by name.

use crate::Asset;

pub(crate) const ASSETS: &[Asset] = &[
    Asset { stem: "page", hash: "GLJEEMZN", extension: "css", bytes: include_bytes!("../dist/page.GLJEEMZN.css") },
    Asset { stem: "core", hash: "NO7LC253", extension: "js", bytes: include_bytes!("../dist/core.NO7LC253.js") },
    Asset { stem: "page", hash: "4FUVXUXB", extension: "js", bytes: include_bytes!("../dist/page.4FUVXUXB.js") },
    Asset { stem: "player", hash: "BUD7LOCB", extension: "js", bytes: include_bytes!("../dist/player.BUD7LOCB.js") },
];
