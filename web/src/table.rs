//! Written by build.mjs: the built files, by name.

use crate::Asset;

pub(crate) const ASSETS: &[Asset] = &[
    Asset { stem: "page", hash: "UOZ34W2E", extension: "css", bytes: include_bytes!("../dist/page.UOZ34W2E.css") },
    Asset { stem: "core", hash: "FETEZVNJ", extension: "js", bytes: include_bytes!("../dist/core.FETEZVNJ.js") },
    Asset { stem: "page", hash: "FA24MGCE", extension: "js", bytes: include_bytes!("../dist/page.FA24MGCE.js") },
    Asset { stem: "player", hash: "WNMA5UUF", extension: "js", bytes: include_bytes!("../dist/player.WNMA5UUF.js") },
];
