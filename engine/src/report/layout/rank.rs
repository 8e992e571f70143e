//! Columns: every box stands one column after the last of those that it needs.

use super::Line;

/// Boxes with their columns, lines with their upper end first.
#[derive(Debug)]
pub struct Ranked {
    /// Column of each box.
    pub rank: Vec<usize>,
    /// For each line the end in the earlier column and the end in the later one; none for a line
    /// that has not two ends.
    pub ends: Vec<Option<(usize, usize)>>,
}

/// Gives columns. In a ring the line that closes it runs backwards.
pub fn rank(boxes: usize, lines: &[Line]) -> Ranked {
    let whole = |line: &Line| line.from < boxes && line.to < boxes && line.from != line.to;
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); boxes];
    let mut waits = vec![0_usize; boxes];
    for line in lines.iter().filter(|line| whole(line)) {
        children[line.from].push(line.to);
        waits[line.to] += 1;
    }
    let turn = turns(&children, &mut waits);
    let mut ends = vec![None; lines.len()];
    let mut below: Vec<Vec<usize>> = vec![Vec::new(); boxes];
    for (line, ends) in lines.iter().zip(&mut ends).filter(|(line, _)| whole(line)) {
        let forward = turn[line.from] < turn[line.to];
        let (up, down) = if forward { (line.from, line.to) } else { (line.to, line.from) };
        *ends = Some((up, down));
        below[up].push(down);
    }
    let mut by_turn: Vec<usize> = (0..boxes).collect();
    by_turn.sort_unstable_by_key(|at| turn[*at]);
    let mut rank = vec![0; boxes];
    for at in by_turn {
        for child in &below[at] {
            rank[*child] = rank[*child].max(rank[at] + 1);
        }
    }
    Ranked { rank, ends }
}

/// The place of each box in an order in which it comes after what it needs. Where only rings are
/// left, the first box of them goes on.
fn turns(children: &[Vec<usize>], waits: &mut [usize]) -> Vec<usize> {
    let mut turn = vec![usize::MAX; children.len()];
    let mut open: std::collections::VecDeque<usize> =
        (0..children.len()).filter(|at| waits[*at] == 0).collect();
    let mut done = 0;
    let mut stuck = 0;
    while done < children.len() {
        let Some(at) = open.pop_front() else {
            open.extend((stuck..children.len()).find(|at| turn[*at] == usize::MAX));
            stuck = open.front().map_or(children.len(), |at| at + 1);
            continue;
        };
        if turn[at] != usize::MAX {
            continue;
        }
        turn[at] = done;
        done += 1;
        for child in &children[at] {
            waits[*child] = waits[*child].saturating_sub(1);
            if waits[*child] == 0 && turn[*child] == usize::MAX {
                open.push_back(*child);
            }
        }
    }
    turn
}
