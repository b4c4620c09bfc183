use super::*;

const NEGOTIATED_AND_UP: u16 = NEGOTIATED | UP;

#[test]
fn the_mode_is_the_best_that_both_ends_offer() {
    // Selector of IEEE 802.3, and pause, which have no say.
    let rest = 0x0001 | 1 << 10;
    for (there, fast, full_duplex) in [
        (1 << 5 | 1 << 6 | 1 << 7 | 1 << 8, true, true),
        (1 << 8, true, true),
        (1 << 6 | 1 << 7, true, false),
        (1 << 5 | 1 << 6, false, true),
        // As found of a hub, or of an old switch, which do not negotiate.
        (1 << 7, true, false),
        (1 << 5, false, false),
    ] {
        let mode = mode(NEGOTIATED_AND_UP, ALL_MODES, there | rest);
        assert_eq!(mode, Some(Mode { fast, full_duplex }), "{there:#06x}");
    }
    let mode = mode(NEGOTIATED_AND_UP, 1 << 5 | 1 << 6, ALL_MODES);
    assert_eq!(mode, Some(Mode { fast: false, full_duplex: true }), "of this end too");
}

#[test]
fn there_is_no_link_before_both_ends_have_agreed() {
    for status in [0, NEGOTIATED, UP] {
        assert_eq!(mode(status, ALL_MODES, ALL_MODES), None);
    }
    assert_eq!(mode(NEGOTIATED_AND_UP, ALL_MODES, 0x0001), None, "nothing in common");
    // A PHY that is not there.
    assert_eq!(mode(0x0000, 0x0000, 0x0000), None);
}
