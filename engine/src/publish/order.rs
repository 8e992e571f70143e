//! In which order tags move: parents before children.

use std::collections::BTreeMap;

/// Groups items by their level in the graph, lowest first; items of one group may move side by
/// side. The order within a group is kept.
pub fn waves<T>(items: impl IntoIterator<Item = (u32, T)>) -> Vec<Vec<T>> {
    let mut out: BTreeMap<u32, Vec<T>> = BTreeMap::new();
    for (level, item) in items {
        out.entry(level).or_default().push(item);
    }
    out.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::waves;

    #[test]
    fn what_others_stand_on_comes_first() {
        let items = [(3, "app"), (0, "base"), (3, "tool"), (1, "lib")];
        assert_eq!(waves(items), [vec!["base"], vec!["lib"], vec!["app", "tool"]]);
    }
}
