//! The example of a product that gets its key by deaddrop, over two starts.

use std::fs;

use testbed::{Failure, PATIENCE};

use super::board_testbed::{BoardTestbed, Provisioned, Seeds};
use super::case::Case;
use super::exchange::offered;
use crate::firmware::board::FETCH_ONCE;
use crate::firmware::budget::Budget;
use crate::firmware::footprint::Footprint;
use crate::firmware::{build, provision, size, stack};

pub(super) const CASES: &[Case] =
    &[Case { name: "a product waits for its key once, and has it at the next start", run: two_starts }];

/// The key, in the file that the product waits for.
const KEY: &str = "key of the product 6d1f";

fn two_starts(bed: &mut BoardTestbed<'_>) -> Result<String, Failure> {
    let image = build::image(bed.repo, FETCH_ONCE)?;
    let elf = fs::read(&image).map_err(Failure::at(image.display()))?;
    let Provisioned { record, .. } = bed.provisioned(0, testbed::ROOM, Default::default())?;
    // Behind the seeds stand the values, erased.
    let mut content = provision::slots(&bed.map, &provision::seed([0x47; 32]));
    content.resize(content.len() + VALUES_LEN, 0xFF);
    let flash = provision::write(&bed.path("flash-of-product.bin"), &content)?;
    let provisioned = || Provisioned { record: record.clone(), seeds: Seeds::File(flash.clone()) };

    let mut board = bed.start_image(0, &image, provisioned())?;
    board.until("waiting for api-key", PATIENCE)?;
    board.is_up()?;
    // The console can be used while the product waits, and what it does not wait for stays where it is.
    board.command("send hello from the console")?;
    board.does("Offering message", PATIENCE)?;
    let path = bed.path("api-key");
    fs::write(&path, KEY).map_err(Failure::at(path.display()))?;
    let (mut sender, _) = offered(bed, 0, &["send-file", &path.to_string_lossy()])?;
    board.until("Fetching file \"api-key\"", PATIENCE)?;
    sender.await_event("fetched", PATIENCE)?;
    sender.ends_with(0, PATIENCE)?;
    board.runs()?;
    let deepest = deepest(bed, &board)?;
    // As when the power goes.
    drop(board);
    let kept = fs::read(&flash).map_err(Failure::at(flash.display()))?;
    if !kept.windows(KEY.len()).any(|bytes| bytes == KEY.as_bytes()) {
        return Err(Failure::new("the key is not in flash"));
    }

    let mut board = bed.start_image(0, &image, provisioned())?;
    board.until("api-key is here", PATIENCE)?;
    board.is_up()?;
    board.holds_nothing()?;
    let (mut sender, token) = offered(bed, 0, &["send-file", "--ttl", "2", &path.to_string_lossy()])?;
    board.sees(&token)?;
    // Nobody fetches it: the product has its key.
    sender.ends_with(3, PATIENCE)?;
    board.runs()?;

    let total = Footprint::of(&elf)?.total;
    let budget = Budget::of(bed.repo, FETCH_ONCE_BUDGET)?;
    let over = size::excess(FETCH_ONCE_BUDGET, total, Some(deepest.into()), budget);
    if !over.is_empty() {
        return Err(Failure(over.join("\n")));
    }
    Ok(format!("{} bytes of flash, {} of static RAM, stack {deepest}", total.flash, total.ram))
}

/// The section of its budget.
const FETCH_ONCE_BUDGET: &str = "fetch-once";
/// Bytes of flash for values: VALUES in its memory.x.
const VALUES_LEN: usize = 2 * 1024;

fn deepest(bed: &BoardTestbed<'_>, board: &testbed::emulator::Emulated) -> Result<u32, Failure> {
    let region = bed.map.stack;
    stack::high_water(&board.memory(region.origin, region.length, &bed.path("stack-of-product.bin"))?)
}
