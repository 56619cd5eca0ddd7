//! Written by build.mjs: the built files, by name.

use crate::Asset;

pub(crate) const ASSETS: &[Asset] = &[
    Asset { stem: "page", hash: "GLJEEMZN", extension: "css", bytes: include_bytes!("../dist/page.GLJEEMZN.css") },
    Asset { stem: "core", hash: "S3IQ56GS", extension: "js", bytes: include_bytes!("../dist/core.S3IQ56GS.js") },
    Asset { stem: "page", hash: "GTJNB4BS", extension: "js", bytes: include_bytes!("../dist/page.GTJNB4BS.js") },
    Asset { stem: "player", hash: "TMZC7UYF", extension: "js", bytes: include_bytes!("../dist/player.TMZC7UYF.js") },
];
