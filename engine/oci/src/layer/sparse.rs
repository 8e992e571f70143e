//! The map of a sparse file: which parts of it an archive has, the rest being zeros.

/// A map that was checked: parts in order, apart from each other, inside the file.
#[derive(Debug)]
pub(super) struct SparseMap {
    regions: Vec<(u64, u64)>,
    size: u64,
}

impl SparseMap {
    /// Checks a map of (offset, length) against the size of the file and the bytes in the archive.
    pub(super) fn new(
        regions: Vec<(u64, u64)>,
        size: u64,
        stored: u64,
    ) -> Result<Self, &'static str> {
        let mut at = 0;
        let mut sum: u64 = 0;
        for (start, length) in &regions {
            if *start < at {
                return Err("its sparse map is not in order");
            }
            at = start.checked_add(*length).ok_or("its sparse map is too large")?;
            sum = sum.checked_add(*length).ok_or("its sparse map is too large")?;
        }
        if at > size {
            return Err("its sparse map is larger than the file");
        }
        if sum != stored {
            return Err("its sparse map does not fit the bytes in the archive");
        }
        Ok(SparseMap { regions, size })
    }

    /// Returns the size of the whole file.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Returns (offset, length) of each part, in order.
    pub(super) fn regions(&self) -> impl Iterator<Item = (u64, u64)> {
        self.regions.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_checked() {
        assert!(SparseMap::new(vec![(0, 5), (10, 5), (20, 0)], 20, 10).is_ok());
        assert!(SparseMap::new(vec![], 1 << 40, 0).is_ok());
        for (regions, size, stored) in [
            (vec![(10, 5), (0, 5)], 20, 10),
            (vec![(0, 5), (4, 5)], 20, 10),
            (vec![(0, 5)], 4, 5),
            (vec![(0, 5)], 10, 6),
            (vec![(u64::MAX, 2)], 10, 2),
            (vec![(0, u64::MAX), (u64::MAX, u64::MAX)], u64::MAX, 1),
        ] {
            assert!(SparseMap::new(regions.clone(), size, stored).is_err(), "{regions:?}");
        }
    }
}
