//! Two encoders in virtual time: who is on air, and from when on.

use super::*;

/// Baseline, 320x180, and another size.
const SMALL: &[u8] = b"\x17\0\0\0\0\x01\x42\xc0\x0b\xff\xe1\x00\x17\x67\x42\xc0\x0b\xda\x05\x06\x7e\x7c\x04\x40\
    \x00\x00\x03\x00\x40\x00\x00\x05\x03\xc5\x0a\xa8\x01\x00\x04\x68\xce\x0f\xc8";
const LARGE: &[u8] = b"\x17\0\0\0\0\x01\x42\xc0\x34\xff\xe1\x00\x19\x67\x42\xc0\x34\xda\x00\xf0\x01\x0f\xb0\x11\
    \x00\x00\x03\x00\x01\x00\x00\x03\x00\x78\x0f\x18\x32\xa0\x01\x00\x04\x68\xce\x0f\xc8";
const KEY: &[u8] = b"\x17\x01\0\0\0\0\0\0\x01\x65";
const PICTURE: &[u8] = b"\x27\x01\0\0\0\0\0\0\x01\x41";
/// Frames are so far apart, and every so many of them is a key frame: one in two seconds.
const FRAME_MS: u64 = 100;
const GOP: u64 = 20;

fn video(body: &'static [u8]) -> Message {
    Message::read(Track::Video, Bytes::from_static(body))
}

/// Two encoders over virtual time: what each does in a span, and who went on air when.
struct Hall {
    roles: Roles,
    now_ms: u64,
    changes: Vec<(u64, Role)>,
}

impl Hall {
    fn new() -> Self {
        Self { roles: Roles::default(), now_ms: 1_000_000, changes: Vec::new() }
    }

    fn begin(&mut self, role: Role, header: &'static [u8]) -> &mut Self {
        if self.roles.publish(self.now_ms, role) {
            self.changes.push((self.now_ms, role));
        }
        self.roles.message(self.now_ms, role, 0, &video(header));
        self
    }

    /// Lets `seconds` pass in which these encoders send.
    fn run(&mut self, seconds: u64, sending: &[Role]) -> &mut Self {
        for _ in 0..seconds * 1_000 / FRAME_MS {
            self.now_ms += FRAME_MS;
            for role in sending {
                // The backup's key frames come between those of the main encoder.
                let at = self.now_ms / FRAME_MS + if *role == Role::Main { 0 } else { GOP / 2 };
                let body = if at.is_multiple_of(GOP) { KEY } else { PICTURE };
                self.send(*role, body);
            }
        }
        self
    }

    fn send(&mut self, role: Role, body: &'static [u8]) -> Verdict {
        let stamp = u32::try_from(self.now_ms).unwrap();
        let before = self.roles.on_air();
        let verdict = self.roles.message(self.now_ms, role, stamp, &video(body));
        if let Verdict::GoesOn(_) = verdict {
            assert!(body == KEY && before != Some(role), "an encoder goes on air at a key frame");
            self.changes.push((self.now_ms, role));
        }
        verdict
    }

    /// Who went on air, with the time since the last call in milliseconds.
    fn changes(&mut self, since_ms: u64) -> Vec<(u64, Role)> {
        self.changes.drain(..).map(|(at_ms, role)| (at_ms - since_ms, role)).collect()
    }

    fn not_ready(&self) -> Option<NotReady> {
        self.roles.standby(self.now_ms).unwrap().1
    }
}

/// Both send; the main encoder is on air, the backup is ready.
fn both() -> Hall {
    let mut hall = Hall::new();
    hall.begin(Role::Main, SMALL).begin(Role::Backup, SMALL).run(12, &[Role::Main, Role::Backup]);
    assert_eq!((hall.roles.on_air(), hall.not_ready()), (Some(Role::Main), None));
    hall.changes.clear();
    hall
}

#[test]
fn a_main_encoder_that_is_gone_is_replaced_at_the_next_key_frame_of_the_backup() {
    let mut hall = both();
    let since = hall.now_ms;
    assert!(hall.roles.gone(Role::Main));
    hall.run(5, &[Role::Backup]);
    let changes = hall.changes(since);
    assert!(matches!(changes[..], [(after, Role::Backup)] if after <= GOP * FRAME_MS), "{changes:?}");
}

#[test]
fn a_main_encoder_that_is_silent_for_a_second_is_replaced_and_is_on_air_again_after_ten_steady_ones() {
    let mut hall = both();
    let since = hall.now_ms;
    hall.run(5, &[Role::Backup]);
    let changes = hall.changes(since);
    let latest = SILENT_MS + GOP * FRAME_MS;
    assert!(matches!(changes[..], [(after, Role::Backup)] if (SILENT_MS..=latest).contains(&after)), "{changes:?}");
    let since = hall.now_ms;
    hall.run(4, &[Role::Main, Role::Backup]);
    assert!(matches!(hall.not_ready(), Some(NotReady::Steadying(3_900))), "{:?}", hall.not_ready());
    hall.run(10, &[Role::Main, Role::Backup]);
    let changes = hall.changes(since);
    let latest = STEADY_MS + GOP * FRAME_MS + FRAME_MS;
    assert!(matches!(changes[..], [(after, Role::Main)] if (STEADY_MS..=latest).contains(&after)), "{changes:?}");
}

#[test]
fn a_silence_of_less_than_a_second_changes_nothing() {
    let mut hall = both();
    for _ in 0..20 {
        hall.run(1, &[Role::Main, Role::Backup]);
        // Eight frames are lost.
        hall.now_ms += 8 * FRAME_MS;
        hall.run(2, &[Role::Main, Role::Backup]);
    }
    assert_eq!(hall.changes(0), []);
}

#[test]
fn a_main_encoder_that_comes_and_goes_stays_aside_until_it_is_steady() {
    let mut hall = both();
    hall.run(5, &[Role::Backup]);
    assert_eq!(hall.changes.drain(..).count(), 1);
    for _ in 0..10 {
        hall.run(8, &[Role::Main, Role::Backup]).run(2, &[Role::Backup]);
    }
    assert_eq!(hall.changes(0), []);
    hall.run(13, &[Role::Main, Role::Backup]);
    assert_eq!(hall.roles.on_air(), Some(Role::Main));
}

#[test]
fn a_main_encoder_whose_time_jumps_is_not_steady() {
    let mut hall = both();
    hall.run(5, &[Role::Backup]).run(9, &[Role::Main, Role::Backup]);
    hall.roles.message(hall.now_ms, Role::Main, 0, &video(PICTURE));
    assert_eq!(hall.not_ready(), Some(NotReady::Steadying(0)));
}

#[test]
fn the_key_decides_and_not_the_order() {
    let mut hall = Hall::new();
    hall.begin(Role::Backup, SMALL).run(3, &[Role::Backup]);
    assert_eq!(hall.roles.on_air(), Some(Role::Backup), "a backup that is alone is on air");
    hall.begin(Role::Main, SMALL).run(14, &[Role::Main, Role::Backup]);
    assert_eq!(hall.roles.on_air(), Some(Role::Main));
    hall.run(60, &[Role::Main, Role::Backup]);
    assert_eq!(hall.changes.len(), 2, "{:?}", hall.changes);
}

#[test]
fn a_backup_that_falls_silent_is_replaced_by_a_main_encoder_that_is_not_yet_steady() {
    let mut hall = both();
    hall.run(5, &[Role::Backup]).run(3, &[Role::Main, Role::Backup]);
    assert_eq!(hall.roles.on_air(), Some(Role::Backup));
    hall.run(4, &[Role::Main]);
    assert_eq!(hall.roles.on_air(), Some(Role::Main));
}

#[test]
fn when_both_are_gone_the_first_that_comes_is_on_air_at_once() {
    for role in [Role::Main, Role::Backup] {
        let mut hall = both();
        assert!(hall.roles.gone(Role::Main) && !hall.roles.gone(Role::Backup));
        assert_eq!((hall.roles.on_air(), hall.roles.standby(hall.now_ms)), (None, None));
        assert!(hall.roles.publish(hall.now_ms, role), "{role:?}");
    }
}

#[test]
fn a_backup_of_another_size_brings_its_own_configuration_and_metadata() {
    let mut hall = Hall::new();
    hall.begin(Role::Main, SMALL).begin(Role::Backup, LARGE);
    let metadata = Bytes::from_static(b"\x02\0\x0aonMetaData\x03\0\0\x09");
    assert!(!hall.roles.metadata(Role::Backup, &metadata), "metadata of a standby go no further");
    hall.run(4, &[Role::Main, Role::Backup]);
    hall.roles.gone(Role::Main);
    let tracks = TrackSet { video: Some(Bytes::from_static(LARGE)), metadata: Some(metadata), ..TrackSet::default() };
    assert_eq!(hall.send(Role::Backup, PICTURE), Verdict::Aside);
    assert_eq!(hall.send(Role::Backup, KEY), Verdict::GoesOn(tracks));
    assert_eq!(hall.send(Role::Backup, PICTURE), Verdict::OnAir);
}

#[test]
fn a_standby_says_why_it_is_not_ready_and_does_not_go_on_air() {
    const UNREADABLE: &[u8] = b"\x17\0\0\0\0\x01\x42\xc0\x0b\xff\xe1\x00\x17\x67";
    type Case = (&'static [&'static [u8]], fn(&Option<NotReady>) -> bool);
    let cases: [Case; 4] = [
        (&[PICTURE], |why| *why == Some(NotReady::NoConfiguration)),
        (&[SMALL, PICTURE], |why| *why == Some(NotReady::NoKeyFrame)),
        (&[SMALL, KEY, UNREADABLE], |why| matches!(why, Some(NotReady::Unreadable(_)))),
        (&[UNREADABLE, SMALL, KEY], Option::is_none),
    ];
    for (messages, expected) in cases {
        let mut hall = Hall::new();
        hall.begin(Role::Main, SMALL);
        hall.roles.publish(hall.now_ms, Role::Backup);
        for message in messages {
            hall.send(Role::Backup, message);
        }
        let why = hall.not_ready();
        assert!(expected(&why), "{messages:?}: {why:?}");
        hall.roles.gone(Role::Main);
        let last = if why == Some(NotReady::NoKeyFrame) { PICTURE } else { KEY };
        let went_on = matches!(hall.send(Role::Backup, last), Verdict::GoesOn(_));
        assert_eq!(went_on, why.is_none(), "{messages:?}");
    }
}

#[test]
fn a_second_encoder_of_the_same_role_takes_its_place_on_air_or_aside() {
    let mut hall = both();
    assert!(!hall.roles.publish(hall.now_ms, Role::Backup), "a new backup stands by");
    assert_eq!(hall.not_ready(), Some(NotReady::NoConfiguration), "and begins with nothing known");
    assert!(hall.roles.publish(hall.now_ms, Role::Main), "a new main encoder is on air at once");
}

#[test]
fn two_encoders_that_send_a_picture_every_five_seconds_do_not_take_turns() {
    let mut hall = Hall::new();
    hall.begin(Role::Main, SMALL).begin(Role::Backup, SMALL);
    for _ in 0..20 {
        for role in [Role::Main, Role::Backup] {
            hall.now_ms += 2_500;
            hall.send(role, KEY);
        }
    }
    assert_eq!(hall.changes.len(), 1, "{:?}", hall.changes);
}

#[test]
fn a_standby_without_pictures_goes_on_air_with_its_next_sound() {
    let sound = |body: &'static [u8]| Message::read(Track::Audio, Bytes::from_static(body));
    let mut hall = Hall::new();
    hall.begin(Role::Main, SMALL);
    hall.roles.publish(hall.now_ms, Role::Backup);
    hall.roles.message(hall.now_ms, Role::Backup, 0, &sound(b"\xaf\0\x12\x10"));
    hall.roles.gone(Role::Main);
    let verdict = hall.roles.message(hall.now_ms, Role::Backup, 0, &sound(b"\xaf\x01\x21"));
    assert!(matches!(verdict, Verdict::GoesOn(_)), "{verdict:?}");
}

#[test]
fn a_standby_keeps_no_configuration_of_any_size_and_no_larger_buffer_alive() {
    assert_eq!(kept(&Bytes::from(vec![0; KEPT_BYTES_MAX + 1])), None);
    let read = Bytes::from(vec![0; 64 << 10]);
    let copy = kept(&read.slice(..10)).unwrap();
    assert!(read.is_unique() && copy.len() == 10);
}

#[test]
fn a_standby_that_sends_faster_than_real_time_is_known_to_be_ahead() {
    let mut hall = both();
    let stamp = u32::try_from(hall.now_ms).unwrap();
    for step in 1..=70 {
        hall.roles.message(hall.now_ms, Role::Backup, stamp + step * 100, &video(PICTURE));
    }
    assert!(hall.roles.ahead_ms(Role::Backup) >= 4_000, "{}", hall.roles.ahead_ms(Role::Backup));
}
