//! Every board is wired for the one runner: its program runs no step of its own, and polls nothing in one task with the
//! app. A stack that is joined with the app wakes it for ever.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::fs;
use std::path::Path;

/// The programs of all boards, and the one for Linux.
fn programs() -> Vec<(String, String, String)> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let boards = fs::read_dir(here.join("boards")).unwrap().map(|entry| entry.unwrap().path());
    let programs: Vec<_> = boards
        .chain([here.join("linux")])
        .map(|folder| {
            let read = |file: &str| fs::read_to_string(folder.join(file)).unwrap();
            (folder.display().to_string(), read("src/main.rs"), read("Cargo.toml"))
        })
        .collect();
    assert!(programs.len() >= 8, "{}", programs.len());
    programs
}

/// What the emulated board's console does to the chip when it starts.
fn console_of_chip() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("chips/lm3s6965/src/console.rs");
    let text = fs::read_to_string(path).unwrap();
    text.split("pub fn start()").nth(1).unwrap().split("\n    }").next().unwrap().to_owned()
}

/// The body of the task that runs this, in a program's text.
fn task_with<'a>(text: &'a str, call: &str) -> Option<&'a str> {
    let mut tasks = text.split("#[embassy_executor::task]").skip(1);
    tasks.find_map(|task| {
        let body = task.split_once("{\n")?.1.split_once("\n}")?.0;
        body.contains(call).then_some(body.trim())
    })
}

#[test]
fn every_network_stack_and_chip_has_a_task_of_its_own() {
    for (name, program, manifest) in programs() {
        assert_eq!(task_with(&program, "runner.run()"), Some("runner.run().await;"), "{name}");
        assert!(
            program.contains("(mut runner: Network<"),
            "{name}: the stack's runner is that of `Board::network`"
        );
        // The driver of a network chip, where there is one, has another.
        let tasks = program.split("#[embassy_executor::task]").skip(1);
        let runners = tasks.filter(|task| task.split("\n}").next().unwrap().contains("runner.run().await;"));
        assert_eq!(runners.count(), program.matches("runner.run()").count(), "{name}");
        for joins in ["join", "select"] {
            assert!(!program.contains(&format!("{joins}(")), "{name} polls several futures in one task");
        }
        assert!(!manifest.contains("embassy-futures"), "{name}");
    }
}

#[test]
fn every_board_goes_through_the_steps_of_the_runner_and_starts_its_watchdog_first() {
    for (name, program, manifest) in programs() {
        let at = |part: &str| program.find(part).unwrap_or_else(|| panic!("{name} has no {part}"));
        let steps = [at("Board::start("), at("board.boot"), at("board.run(")];
        assert!(steps.is_sorted(), "{name}");
        if name.ends_with("linux") {
            continue;
        }
        let watchdog = ["watchdog.unleash()", "watchdog.start(", "Watchdog::start()"];
        let started = watchdog.iter().find_map(|start| program.find(start)).expect("it has a watchdog");
        assert!(started < steps[0], "{name}: the watchdog starts before the first step");
        // The console of the emulated board's chip is a driver of our own: it has the pull-up, and the board uses that
        // console alone.
        let of_chip = program.contains("use deaddrop_lm3s6965::console::{Console,")
            && program.matches("Console::start()").count() == 1
            && console_of_chip().contains("PORT_A_PULL_UP.set(RX_PIN);");
        // A serial port over USB has no line that could float.
        let over_usb = program.contains("deaddrop_usb::new(") && !program.contains("uart");
        let pull_up = program.contains("rx_pull = Pull::Up")
            || program.contains(".set_pue(true)")
            || of_chip
            || over_usb;
        assert!(pull_up, "{name}: the console's input has no pull-up");
        assert!(program.contains("crash::panicked(info)") && !manifest.contains("panic-halt"), "{name}");
    }
}

#[test]
fn every_board_with_a_radio_needs_its_settings_and_firmware_and_keeps_its_watchdog_from_a_deaf_one() {
    let radios: Vec<_> =
        programs().into_iter().filter(|(_, _, manifest)| manifest.contains("deaddrop-cyw43")).collect();
    assert!(radios.len() >= 2, "{}", radios.len());
    for (name, program, manifest) in radios {
        let at = |part: &str| program.find(part).unwrap_or_else(|| panic!("{name} has no {part}"));
        let steps = [
            "deaddrop_cyw43::settings(",
            "board.boot(",
            "deaddrop_cyw43::files()",
            "deaddrop_cyw43::new(",
            "spawner.spawn(chip)",
            "radio.set_up()",
            "board.network(",
            "spawner.spawn(wifi)",
            "board.run(",
        ];
        assert!(steps.map(at).is_sorted(), "{name}");
        let map = fs::read_to_string(Path::new(&name).join("memory.x")).unwrap();
        assert!(map.contains("RADIO "), "{name} has no region for the radio's firmware");
        assert!(program.contains("Guarded::new(HardwareWatchdog(watchdog), &SHARED)"), "{name}");
        assert_eq!(task_with(&program, "radio.run("), Some("radio.run(stack, mailbox).await;"), "{name}");
        // Its terms are non-commercial, and no image holds the radio's firmware.
        assert!(!manifest.contains("cyw43-firmware") && !program.contains("include_bytes"), "{name}");
    }
}
