//! The `reelmap` command.

fn main() {}
