//! Configurations: any sequence header is read or refused; parameter sets of any access unit give a header that can be
//! read again, and the access unit changes nothing twice.

#[path = "input.rs"]
#[allow(dead_code)]
mod input;

use bytes::Bytes;
use input::Input;
use lectern_media::codec::{self, Config};
use lectern_media::track::Track;

/// Two bytes of length and a header without its first five bytes; the rest is an access unit.
pub fn changed(data: &[u8]) {
    let mut input = Input(data);
    let length = input.number(2) as usize;
    let header = Bytes::from([&[0x17, 0, 0, 0, 0], input.bytes(length)].concat());
    let access_unit = input.0;
    let _ = Config::read(Track::Audio, &Bytes::from([&[0xaf, 0], access_unit].concat()));
    let Ok(config) = Config::read(Track::Video, &header) else {
        assert_eq!(codec::changed_by(&header, access_unit), None, "a header that cannot be read is changed");
        return;
    };
    assert!(config.means_the_same(&config) && codec::same(Track::Video, &header, &header));
    if let Some(written) = config.sequence_header() {
        assert!(codec::same(Track::Video, &header, &written), "a header that is written means something else");
    }
    let Some(changed) = codec::changed_by(&header, access_unit) else { return };
    let read = Config::read(Track::Video, &changed).expect("a header that is written can be read");
    if let Some(again) = codec::changed_by(&changed, access_unit) {
        assert!(codec::same(Track::Video, &changed, &again), "an access unit changes twice: {read:?}");
    }
}
