//! What a file keeps beside its content, and that its holes stay holes.

use std::fs::{self, File, OpenOptions, Permissions};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::time::{Duration, SystemTime};

use super::*;
use crate::fetch::scene::scene_in;

/// Sends a file that `make` makes, over connections of which the first are cut, and returns what is said of the two.
fn pass(faults: &'static [Fault], make: impl FnOnce(&mut File)) -> (fs::Metadata, fs::Metadata) {
    let folder = tempfile::tempdir().unwrap();
    make(&mut File::create(folder.path().join("drop.bin")).unwrap());
    let scene = scene_in(folder);
    let relay = Relay::start(&scene, faults);
    scene.run(async {
        let (mut transfer, incoming) = scene.claim_at(relay.address).await;
        transfer.receive(incoming).await.unwrap();
        assert!(transfer.confirm().await);
    });
    assert!(scene.received() == scene.bytes);
    relay.end();
    let of = |name| fs::metadata(scene.folder.path().join(name)).unwrap();
    (of("drop.bin"), of("out"))
}

#[test]
fn a_file_keeps_its_time_and_the_right_to_execute_it_and_no_other_mode() {
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_592_000_000);
    for (mode, expected) in [(0o755, 0o700), (0o4711, 0o700), (0o644, 0o600), (0o611, 0o600)] {
        for size in [0, 5, 70_000] {
            let (_, received) = pass(&[Fault::None], |file| {
                file.set_permissions(Permissions::from_mode(mode)).unwrap();
                file.set_len(size).unwrap();
                file.set_modified(then).unwrap();
            });
            assert_eq!(received.permissions().mode() & 0o7777, expected, "{mode:o}");
            assert_eq!(received.modified().unwrap(), then, "{size} bytes");
        }
    }
}

/// 12 MiB, of which 128 KiB are written: by several threads; and less than a batch, by one.
#[test]
fn holes_stay_holes_also_where_a_transfer_is_cut() {
    const CUT: &[Fault] = &[Fault::Cut(5 << 20), Fault::Cut(1 << 20), Fault::None];
    for (size, faults) in [(12 << 20, &[Fault::None] as &[_]), (12 << 20, CUT), (700_000, &[Fault::None])] {
        let (sent, received) = pass(faults, |file| {
            file.set_len(size).unwrap();
            for at in [0, size / 2 / 65_536 * 65_536] {
                file.write_all_at(&[7; 65_536], at).unwrap();
            }
        });
        assert_eq!(received.len(), size);
        let (sent, received) = (sent.blocks() * 512, received.blocks() * 512);
        // The bytes at the end are written, and one at each place where something was made durable.
        assert!(sent < 200_000 && received < sent + 200_000, "{received} bytes on the disk for {sent}");
    }
}

#[test]
fn zeros_from_a_sender_of_which_other_bytes_are_here_take_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("drop.bin");
    fs::write(&path, vec![7; 1 << 20]).unwrap();
    let scene = scene_in(folder);
    scene.run(async {
        let (transfer, mut incoming) = scene.claim_at(scene.listener.local_addr().unwrap()).await;
        incoming.append(&[7; 65_536]).unwrap();
        incoming.append(&[7; 65_536]).unwrap();
        incoming.rewind(65_536);
        incoming.append(&[0; 65_536]).unwrap();
        incoming.append(&[0; 65_536]).unwrap();
        incoming.append(&vec![7; (1 << 20) - 3 * 65_536]).unwrap();
        assert!(incoming.finish().is_ok());
        drop(transfer);
    });
    let expected = [&[7; 65_536][..], &[0; 131_072], &vec![7; (1 << 20) - 3 * 65_536]].concat();
    assert!(scene.received() == expected);
    let received = OpenOptions::new().read(true).open(scene.folder.path().join("out")).unwrap();
    assert_eq!(received.metadata().unwrap().blocks() * 512, (1 << 20) - 65_536);
}
