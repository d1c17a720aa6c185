//! Long rows of whole numbers in few bytes, readable at any place.
//!
//! ```text
//! value(i) = base + slope * (i % 128) + the i-th of 128 residuals, `width` bits each
//! ```
//! A track's times at a constant rate take no bits at all, its sizes about as many as their largest needs.

/// Values a block.
const BLOCK: usize = 128;

/// A value of this type is a row of whole numbers that can only grow at its end.
#[derive(Clone, Debug, Default)]
pub struct Column {
    blocks: Vec<Block>,
    words: Vec<u64>,
    /// The values after the last whole block.
    rest: Vec<i64>,
    sloped: bool,
}

#[derive(Clone, Copy, Debug)]
struct Block {
    base: i64,
    slope: i64,
    /// Where its residuals begin in `words`; their number is always `2 * width`.
    start: u32,
    width: u8,
}

impl Column {
    /// A row whose neighbours are alike: sizes.
    pub fn level() -> Self {
        Column::default()
    }

    /// A row that rises steadily: times, offsets.
    pub fn rising() -> Self {
        Column { sloped: true, ..Column::default() }
    }

    pub fn len(&self) -> usize {
        self.blocks.len() * BLOCK + self.rest.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Heap bytes held.
    pub fn weight(&self) -> usize {
        self.blocks.capacity() * size_of::<Block>()
            + (self.words.capacity() + self.rest.capacity()) * size_of::<u64>()
    }

    #[inline]
    pub fn push(&mut self, value: i64) {
        if self.rest.capacity() == 0 {
            self.rest.reserve_exact(BLOCK);
        }
        self.rest.push(value);
        if self.rest.len() == BLOCK {
            self.close_block();
        }
    }

    /// Pushes a value of each item: a block at a time, which costs less than one by one.
    pub fn extend<T>(&mut self, mut items: &[T], value: impl Fn(&T) -> i64) {
        self.rest.reserve_exact(BLOCK - self.rest.len());
        while !items.is_empty() {
            let room = items.len().min(BLOCK - self.rest.len());
            let (now, later) = items.split_at(room);
            self.rest.extend(now.iter().map(&value));
            if self.rest.len() == BLOCK {
                self.close_block();
            }
            items = later;
        }
    }

    /// All arithmetic wraps on purpose: what was subtracted is added again, and residuals may be 64 bits wide.
    fn close_block(&mut self) {
        let first = self.rest.first().copied().unwrap_or_default();
        let last = self.rest.last().copied().unwrap_or_default();
        let slope = if self.sloped { last.wrapping_sub(first) / (BLOCK as i64 - 1) } else { 0 };
        let (mut line, mut low, mut high) = (0i64, i64::MAX, i64::MIN);
        for value in &mut self.rest {
            *value = value.wrapping_sub(line);
            line = line.wrapping_add(slope);
            low = low.min(*value);
            high = high.max(*value);
        }
        let width = 64 - (high.wrapping_sub(low) as u64).leading_zeros();
        let start = self.words.len() as u32;
        if width > 0 {
            self.pack(low, width);
        }
        self.rest.clear();
        self.blocks.push(Block { base: low, slope, start, width: width as u8 });
    }

    /// Writes how far each value of the block lies above `low`, `width` bits each.
    fn pack(&mut self, low: i64, width: u32) {
        let needed = 2 * width as usize;
        if self.words.capacity() - self.words.len() < needed {
            // Grown by an eighth: a table that doubles would hold three times its size for a moment.
            self.words.reserve_exact(needed.max(self.words.len() / 8));
        }
        let (mut word, mut filled) = (0u64, 0);
        for value in &self.rest {
            let residual = value.wrapping_sub(low) as u64;
            word |= residual << filled;
            filled += width;
            if filled >= 64 {
                self.words.push(word);
                filled -= 64;
                word = if filled == 0 { 0 } else { residual >> (width - filled) };
            }
        }
    }

    #[inline]
    pub fn get(&self, index: usize) -> Option<i64> {
        let Some(block) = self.blocks.get(index / BLOCK) else {
            return self.rest.get(index.checked_sub(self.blocks.len() * BLOCK)?).copied();
        };
        Some(self.value(block, index % BLOCK))
    }

    #[inline]
    fn value(&self, block: &Block, place: usize) -> i64 {
        let line = block.base.wrapping_add(block.slope.wrapping_mul(place as i64));
        let width = usize::from(block.width);
        if width == 0 {
            return line;
        }
        let bit = place * width;
        let at = block.start as usize + bit / 64;
        let low = self.words.get(at).copied().unwrap_or_default() >> (bit % 64);
        let high = match bit % 64 + width > 64 {
            true => self.words.get(at + 1).copied().unwrap_or_default() << (64 - bit % 64),
            false => 0,
        };
        line.wrapping_add(((low | high) & (u64::MAX >> (64 - width))) as i64)
    }

    pub fn last(&self) -> Option<i64> {
        self.get(self.len().checked_sub(1)?)
    }

    pub fn iter(&self) -> impl Iterator<Item = i64> + '_ {
        let blocks = self.blocks.iter();
        blocks
            .flat_map(|block| (0..BLOCK).map(|place| self.value(block, place)))
            .chain(self.rest.iter().copied())
    }

    /// In a row that never falls: how many values are at most `limit`.
    pub fn count_up_to(&self, limit: i64) -> usize {
        let blocks = self.blocks.partition_point(|block| self.value(block, 0) <= limit);
        let inside = blocks.checked_sub(1).and_then(|at| Some((at, self.blocks.get(at)?)));
        let Some((at, block)) = inside else {
            return if self.blocks.is_empty() { self.count_rest(limit) } else { 0 };
        };
        let (mut low, mut high) = (1, BLOCK);
        while low < high {
            let middle = (low + high) / 2;
            if self.value(block, middle) <= limit { low = middle + 1 } else { high = middle }
        }
        let rest =
            if low == BLOCK && blocks == self.blocks.len() { self.count_rest(limit) } else { 0 };
        at * BLOCK + low + rest
    }

    fn count_rest(&self, limit: i64) -> usize {
        self.rest.partition_point(|&value| value <= limit)
    }

    /// The step between neighbours, where it is the same throughout: read off the blocks, not the values.
    pub fn even_step(&self) -> Option<i64> {
        let step = self.get(1)?.wrapping_sub(self.get(0)?);
        let mut expected = self.get(0)?;
        for block in &self.blocks {
            if block.width != 0 || block.slope != step || block.base != expected {
                return None;
            }
            expected = expected.wrapping_add(step.wrapping_mul(BLOCK as i64));
        }
        for &value in &self.rest {
            if value != expected {
                return None;
            }
            expected = expected.wrapping_add(step);
        }
        Some(step)
    }

    /// Adds `by` to every value.
    pub fn shift(&mut self, by: i64) {
        self.blocks.iter_mut().for_each(|block| block.base = block.base.wrapping_add(by));
        self.rest.iter_mut().for_each(|value| *value = value.wrapping_add(by));
    }

    /// Gives back what was reserved and not used.
    pub fn shrink(&mut self) {
        self.blocks.shrink_to_fit();
        self.words.shrink_to_fit();
        self.rest.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn column(mut column: Column, values: &[i64]) -> Column {
        values.iter().for_each(|&value| column.push(value));
        column
    }

    #[test]
    fn an_even_row_takes_no_bits() {
        let row = column(Column::rising(), &(0..100_000).map(|i| i * 512).collect::<Vec<_>>());
        assert!(row.words.is_empty());
        assert_eq!(row.even_step(), Some(512));
        assert_eq!(row.get(77_777), Some(77_777 * 512));
        assert_eq!(row.get(100_000), None);
    }

    #[test]
    fn a_row_with_one_step_out_of_line_is_not_even() {
        for odd in [1, 127, 128, 129, 255] {
            let values: Vec<_> = (0..300).map(|i| i * 10 + i64::from(i == odd)).collect();
            assert_eq!(column(Column::rising(), &values).even_step(), None, "{odd}");
            let jump: Vec<_> = (0..256 + odd % 2).map(|i| i * 10 + i64::from(i >= odd)).collect();
            assert_eq!(column(Column::rising(), &jump).even_step(), None, "{odd}");
        }
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(values in prop::collection::vec(any::<i64>(), 0..700), sloped: bool) {
            let empty = || if sloped { Column::rising() } else { Column::level() };
            let row = column(empty(), &values);
            let mut parts = empty();
            values.chunks(50).for_each(|part| parts.extend(part, |&value| value));
            prop_assert_eq!(parts.iter().collect::<Vec<_>>(), values.clone());
            prop_assert_eq!(row.len(), values.len());
            prop_assert_eq!(row.iter().collect::<Vec<_>>(), values.clone());
            for (at, &value) in values.iter().enumerate() {
                prop_assert_eq!(row.get(at), Some(value));
            }
        }

        #[test]
        fn counting_agrees_with_a_plain_list(
            mut values in prop::collection::vec(-1000i64..1000, 0..700), limit in -1100i64..1100, by in -9i64..9,
        ) {
            values.sort_unstable();
            let mut row = column(Column::rising(), &values);
            row.shift(by);
            prop_assert_eq!(row.count_up_to(limit + by), values.partition_point(|&value| value <= limit));
        }
    }
}
