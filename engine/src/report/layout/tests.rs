use proptest::prelude::*;

use super::*;

const WIDTH: i32 = 100;

fn boxes(count: usize) -> Vec<Shape> {
    vec![Shape { height: 50, lane: 0 }; count]
}

fn lines(list: &[(usize, usize)]) -> Vec<Line> {
    list.iter().map(|(from, to)| Line { from: *from, to: *to, class: 0 }).collect()
}

fn lay(boxes: &[Shape], lines: &[Line]) -> Layout {
    layout(&Request { width: WIDTH, boxes, lines, framed: 0..0 })
}

fn meets(a: (i32, i32, i32, i32), b: (i32, i32, i32, i32)) -> bool {
    a.0 < b.2 && b.0 < a.2 && a.1 < b.3 && b.1 < a.3
}

/// Left, upper, right and lower edge.
fn area(spot: &Spot, shape: &Shape) -> (i32, i32, i32, i32) {
    (spot.x, spot.y, spot.x + WIDTH, spot.y + shape.height)
}

/// What must hold of every layout.
fn check(boxes: &[Shape], lines: &[Line], found: &Layout) {
    let areas: Vec<_> = found.boxes.iter().zip(boxes).map(|(s, b)| area(s, b)).collect();
    for (at, a) in areas.iter().enumerate() {
        assert!(a.0 >= 0 && a.1 >= 0 && a.2 <= found.width && a.3 <= found.height, "{a:?}");
        for b in &areas[at + 1..] {
            assert!(!meets(*a, *b), "{a:?} overlaps {b:?}");
        }
    }
    for (at, piece) in found.pieces.iter().enumerate() {
        if let Some(parent) = piece.parent {
            assert!(parent < at);
            assert_eq!(found.pieces[parent].end(), piece.start);
        }
        assert!(!piece.legs.is_empty());
        let mut at = piece.start;
        for Leg { to, bend } in piece.legs.iter().copied() {
            assert!(bend || at.1 == to.1, "a straight leg is level");
            let room = (at.0.min(to.0), at.1.min(to.1) - 1, at.0.max(to.0), at.1.max(to.1) + 1);
            let hit = areas.iter().find(|a| meets(room, **a));
            assert!(hit.is_none(), "{:?} runs over {hit:?} on {room:?}", lines[piece.line]);
            at = to;
        }
    }
    let mut last = std::collections::HashSet::new();
    for (line, way) in lines.iter().zip(&found.ways) {
        match way {
            Some(way) => {
                assert!(last.insert(*way), "each line ends with a piece of its own");
                ends_at_boxes(line, *way, found, &areas);
            }
            None => assert!(line.from == line.to || line.from.max(line.to) >= boxes.len()),
        }
    }
}

fn ends_at_boxes(line: &Line, way: usize, found: &Layout, areas: &[(i32, i32, i32, i32)]) {
    let (from, to) = (areas[line.from], areas[line.to]);
    let end = found.pieces[way].end();
    let mut first = &found.pieces[way];
    while let Some(parent) = first.parent {
        first = &found.pieces[parent];
    }
    let start = first.start;
    let right = |a: (i32, i32, i32, i32)| (a.2, a.1.midpoint(a.3));
    let left = |a: (i32, i32, i32, i32)| (a.0, a.1.midpoint(a.3));
    let aside = if line.class == 0 { 0 } else { 8 };
    let left = |a: (i32, i32, i32, i32)| (left(a).0, left(a).1 + aside);
    let forward = start == right(from) && end == left(to);
    // The line that closes a ring runs against the columns.
    let backward = start == left(from) && end == right(to);
    assert!(forward || backward, "{line:?}: {start:?} to {end:?}");
}

/// A graph whose lines run from lower to higher numbers, so that it has no ring.
fn dag() -> impl Strategy<Value = (Vec<Shape>, Vec<Line>)> {
    (1_usize..50, 1_usize..5).prop_flat_map(|(count, lanes)| {
        let shape = (20_i32..90, 0..lanes).prop_map(|(height, lane)| Shape { height, lane });
        let line = (0..count, 0..count, 0_u8..2).prop_map(|(a, b, class)| Line {
            from: a.min(b),
            to: a.max(b),
            class,
        });
        (prop::collection::vec(shape, count), prop::collection::vec(line, 0..count * 2))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn nothing_overlaps_and_every_line_arrives((boxes, lines) in dag(), framed in any::<bool>()) {
        let lanes = boxes.iter().map(|b| b.lane + 1).max().unwrap();
        let framed = if framed { 1..lanes } else { 0..0 };
        let request = Request { width: WIDTH, boxes: &boxes, lines: &lines, framed };
        let found = layout(&request);
        check(&boxes, &lines, &found);
        for line in lines.iter().filter(|line| line.from != line.to) {
            prop_assert!(found.boxes[line.from].rank < found.boxes[line.to].rank);
        }
        prop_assert_eq!(&found, &layout(&request));
        frames_hold_their_own(&request, &found);
    }

    #[test]
    fn rings_and_nonsense_are_laid_out_too(
        ends in prop::collection::vec((0_usize..14, 0_usize..14), 0..40)
    ) {
        let (boxes, lines) = (boxes(12), lines(&ends));
        check(&boxes, &lines, &lay(&boxes, &lines));
    }
}

fn frames_hold_their_own(request: &Request<'_>, found: &Layout) {
    for (frame, lane) in found.frames.iter().zip(request.framed.clone()) {
        let frame = (frame.x, frame.y, frame.x + frame.width, frame.y + frame.height);
        for (spot, shape) in found.boxes.iter().zip(request.boxes) {
            let inside = meets(frame, area(spot, shape));
            assert_eq!(inside, shape.lane == lane, "{spot:?} {frame:?}");
        }
    }
}

#[test]
fn a_chain_is_level() {
    let (boxes, lines) = (boxes(5), lines(&[(0, 1), (1, 2), (2, 3), (3, 4)]));
    let found = lay(&boxes, &lines);
    assert!(found.boxes.iter().all(|spot| spot.y == 0), "{:?}", found.boxes);
    assert_eq!(found.boxes.iter().map(|s| s.rank).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert!(found.pieces.iter().all(|piece| piece.legs.len() == 1));
    assert_eq!(found.ways, [Some(0), Some(1), Some(2), Some(3)]);
}

#[test]
fn two_trees_do_not_cross() {
    // Numbered so that the order of the list would cross every line.
    let (boxes, lines) = (boxes(8), lines(&[(0, 7), (0, 6), (0, 5), (1, 4), (1, 3), (1, 2)]));
    let found = lay(&boxes, &lines);
    let height = |at: usize| found.boxes[at].y;
    let (first, second) = ([5, 6, 7].map(height), [2, 3, 4].map(height));
    assert!(first.iter().all(|a| second.iter().all(|b| a < b)), "{found:?}");
    assert!(height(0) < height(1));
}

#[test]
fn a_parent_stands_at_the_middle_of_its_children() {
    let (boxes, lines) = (boxes(4), lines(&[(0, 1), (0, 2), (0, 3)]));
    let found = lay(&boxes, &lines);
    let mut heights = [1, 2, 3].map(|at: usize| found.boxes[at].y);
    heights.sort_unstable();
    assert_eq!(found.boxes[0].y, heights[1]);
}

#[test]
fn many_children_make_a_block_and_not_a_tower() {
    let many: Vec<(usize, usize)> = (1..301).map(|to| (0, to)).collect();
    let (boxes, lines) = (boxes(301), lines(&many));
    let found = lay(&boxes, &lines);
    check(&boxes, &lines, &found);
    assert!(found.height < 2 * found.width, "{} × {}", found.width, found.height);
}

#[test]
fn lines_share_what_they_have_in_common() {
    // One line to each of the columns behind, and a chain that makes the columns.
    let mut ends: Vec<(usize, usize)> = (1..6).map(|to| (to - 1, to)).collect();
    ends.extend((2..6).map(|to| (0, to)));
    let found = lay(&boxes(6), &lines(&ends));
    let trunk: Vec<usize> = found.ways[5..]
        .iter()
        .map(|way| std::iter::successors(*way, |at| found.pieces[*at].parent).count())
        .collect();
    assert_eq!(trunk, [2, 3, 4, 4], "the last two part behind the same pass");
    let longest: i32 = found.pieces.iter().map(|p| p.end().0 - p.start.0).sum();
    assert!(longest < 3 * found.width, "{longest} of {}", found.width);
}

#[test]
fn time_and_memory_stay_bounded() {
    // Each box needs the first and the one before: half a billion columns are passed in all.
    let mut deep: Vec<(usize, usize)> = (1..5_000).map(|to| (to - 1, to)).collect();
    deep.extend((2..5_000).map(|to| (0, to)));
    deep.extend((0..2_000).map(|from| (from, 4_999)));
    let found = lay(&boxes(5_000), &lines(&deep));
    assert_eq!(found.boxes[4_999].rank, 4_999);
    let wide: Vec<(usize, usize)> = (0..20_000).map(|at| (at % 100, 100 + at / 2)).collect();
    assert_eq!(lay(&boxes(10_100), &lines(&wide)).boxes.len(), 10_100);
}

#[test]
fn nothing_gives_nothing() {
    assert_eq!(lay(&[], &[]), Layout::default());
    let one = lay(&boxes(1), &lines(&[(0, 0), (0, 9)]));
    assert_eq!((one.width, one.height, one.pieces.len()), (WIDTH, 50, 0));
}
