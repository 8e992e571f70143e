//! The walk that apt takes: each package with what it needs, depth first, the first alternative
//! that goes. It takes nothing back but what hangs on a failed alternative, so it is quick and
//! chooses what users of apt expect; where it finds no way, the search decides.

use super::world::{GroupId, Node, World};
use std::rc::Rc;

/// Steps before the walk gives up; gnome with all it recommends takes some ten thousand.
const MAX_STEPS: usize = 200_000;

/// Something that has to be met before a package is complete.
#[derive(Clone, Copy)]
enum Item {
    /// One of a group's options.
    Need(GroupId),
    /// The same, if possible.
    Want(GroupId),
    /// Exactly this node: an installed package that has to make way by moving up.
    Move(Node),
}

struct Frame {
    /// The package that is being completed; `None` for what an installed one lacks.
    node: Option<Node>,
    items: Vec<Item>,
    item: usize,
    /// How many options of the current item were tried.
    tried: usize,
    /// Length of the trail before the package was chosen.
    mark: usize,
}

enum Change {
    Chosen(Node),
    Left(Node),
}

/// The choice so far.
pub(super) struct Walk<'w, 'i, 'r> {
    world: &'w mut World<'i, 'r>,
    recommends: bool,
    chosen: Vec<bool>,
    /// By how many chosen packages a node is kept out.
    bans: Vec<u32>,
    /// As apt, a package that failed once is not tried again; this keeps the walk short.
    failed: Vec<bool>,
    trail: Vec<Change>,
    moved: bool,
    steps: usize,
}

impl<'w, 'i: 'r, 'r> Walk<'w, 'i, 'r> {
    /// Starts with the installed packages.
    pub fn new(world: &'w mut World<'i, 'r>, recommends: bool) -> Self {
        let mut walk = Walk {
            world,
            recommends,
            chosen: Vec::new(),
            bans: Vec::new(),
            failed: Vec::new(),
            trail: Vec::new(),
            moved: false,
            steps: 0,
        };
        for node in walk.world.installed().to_vec() {
            walk.enter(node);
        }
        walk
    }

    /// Completes the roots; `None` when that does not work out.
    pub fn run(mut self, roots: &[Node]) -> Option<Vec<Node>> {
        let mut frames = Vec::with_capacity(roots.len());
        // As apt does, all that is named is marked before dependencies are looked at.
        for root in roots {
            if !is_set(&self.chosen, *root) {
                frames.push(self.choose(*root)?);
            }
        }
        for frame in frames {
            self.complete(frame).then_some(())?;
        }
        self.mend().then_some(())?;
        self.is_sound().then(|| self.result())
    }

    /// Adds what is recommended by a sound choice, as far as it goes.
    pub fn recommend(mut self, choice: &[Node]) -> Vec<Node> {
        for node in choice {
            if !self.world.is_installed(*node) {
                self.leave_installed(*node);
                self.enter(*node);
            }
        }
        for node in choice {
            let name = self.world.name_of(*node);
            if self.world.nodes_of(name).next() != Some(*node) {
                continue;
            }
            let wants = self.world.relations(*node).wants.clone();
            let items = wants.into_iter().map(Item::Want).collect();
            let mark = self.trail.len();
            self.complete(Frame { node: None, items, item: 0, tried: 0, mark });
        }
        if self.mend() && self.is_sound() { self.result() } else { choice.to_vec() }
    }

    fn result(&self) -> Vec<Node> {
        let chosen = self.chosen.iter().enumerate().filter(|(_, chosen)| **chosen);
        chosen.map(|(node, _)| node as Node).collect()
    }

    /// Whether everything chosen has what it needs and nothing of it is kept out.
    fn is_sound(&mut self) -> bool {
        let free = self.chosen.iter().zip(&self.bans).all(|(chosen, bans)| !chosen || *bans == 0);
        let chosen = self.result();
        free && !self.world.is_exhausted()
            && chosen.iter().all(|node| {
                let relations = self.world.relations(*node);
                relations.needs.iter().all(|group| self.is_met(*group))
            })
    }

    fn is_met(&self, group: GroupId) -> bool {
        self.world.options(group).iter().any(|node| is_set(&self.chosen, *node))
    }

    /// Works a frame off; when it fails, all that hangs on it is taken back.
    fn complete(&mut self, frame: Frame) -> bool {
        let mut stack = vec![frame];
        while let Some(frame) = stack.last_mut() {
            self.steps += 1;
            if self.steps > MAX_STEPS || self.world.is_exhausted() {
                return false;
            }
            let Some(item) = frame.items.get(frame.item).copied() else {
                stack.pop();
                continue;
            };
            let next = match self.next_option(item, frame.tried) {
                Next::Met => None,
                Next::Try(node, tried) => {
                    frame.tried = tried;
                    if let Some(frame) = self.choose(node) {
                        stack.push(frame);
                    }
                    continue;
                }
                Next::Over => match item {
                    Item::Want(_) => None,
                    Item::Need(_) | Item::Move(_) => Some((frame.node, frame.mark)),
                },
            };
            match next {
                None => (frame.item, frame.tried) = (frame.item + 1, 0),
                Some((node, mark)) => {
                    self.take_back(mark);
                    if let Some(node) = node {
                        set(&mut self.failed, node, true);
                    }
                    stack.pop();
                    if stack.is_empty() {
                        return false;
                    }
                }
            }
        }
        true
    }

    fn next_option(&self, item: Item, tried: usize) -> Next {
        let options = match &item {
            Item::Need(group) | Item::Want(group) => self.world.options(*group),
            Item::Move(node) => std::slice::from_ref(node),
        };
        if options.iter().any(|node| is_set(&self.chosen, *node)) {
            return Next::Met;
        }
        options.get(tried).map_or(Next::Over, |node| Next::Try(*node, tried + 1))
    }

    /// Chooses a node if nothing speaks against it at once.
    fn choose(&mut self, node: Node) -> Option<Frame> {
        if !self.is_open(node) {
            return None;
        }
        let relations = self.world.relations(node);
        if relations.fault.is_some() {
            return None;
        }
        let mut items = Vec::with_capacity(relations.needs.len());
        for hit in relations.hits.iter().filter(|hit| is_set(&self.chosen, **hit)) {
            // Only what is installed has a version to go to; nothing is ever removed.
            let other =
                self.world.is_installed(*hit).then(|| self.world.upgrade(*hit)).flatten()?;
            let goes = self.is_open(other) && relations.hits.binary_search(&other).is_err();
            items.push(goes.then_some(Item::Move(other))?);
        }
        let can_be_met = |group: &GroupId| {
            let mut options = self.world.options(*group).iter();
            options.any(|option| is_set(&self.chosen, *option) || self.is_open(*option))
        };
        if !relations.needs.iter().all(can_be_met) {
            return None;
        }
        items.extend(relations.needs.iter().copied().map(Item::Need));
        let mark = self.trail.len();
        let replaced = self.leave_installed(node);
        // A new version of what is there already brings no recommendations along.
        if self.recommends && !replaced {
            items.extend(relations.wants.iter().copied().map(Item::Want));
        }
        self.enter(node);
        Some(Frame { node: Some(node), items, item: 0, tried: 0, mark })
    }

    /// Whether a node that is not chosen may be: it has not failed, nothing keeps it out, and no
    /// other new version of it is chosen.
    fn is_open(&self, node: Node) -> bool {
        let other = self.world.nodes_of(self.world.name_of(node)).find(|other| *other != node);
        let taken = other
            .is_some_and(|other| is_set(&self.chosen, other) && !self.world.is_installed(other));
        let banned = self.bans.get(node as usize).is_some_and(|bans| *bans > 0);
        !is_set(&self.failed, node) && !banned && !taken
    }

    /// Gives up the installed version of a package in favour of another.
    fn leave_installed(&mut self, node: Node) -> bool {
        let mut nodes = self.world.nodes_of(self.world.name_of(node));
        let Some(old) = nodes.find(|old| *old != node && is_set(&self.chosen, *old)) else {
            return false;
        };
        self.moved = true;
        self.put(old, false);
        self.trail.push(Change::Left(old));
        true
    }

    fn enter(&mut self, node: Node) {
        self.put(node, true);
        self.trail.push(Change::Chosen(node));
    }

    fn put(&mut self, node: Node, chosen: bool) {
        set(&mut self.chosen, node, chosen);
        for hit in &Rc::clone(&self.world.relations(node)).hits {
            let at = *hit as usize;
            if self.bans.len() <= at {
                self.bans.resize(at + 1, 0);
            }
            if let Some(bans) = self.bans.get_mut(at) {
                *bans = if chosen { bans.saturating_add(1) } else { bans.saturating_sub(1) };
            }
        }
        // The two are read side by side, so both have a place for every chosen node.
        let longest = self.chosen.len().max(self.bans.len());
        self.chosen.resize(longest, false);
        self.bans.resize(longest, 0);
    }

    fn take_back(&mut self, mark: usize) {
        while self.trail.len() > mark {
            match self.trail.pop() {
                Some(Change::Chosen(node)) => self.put(node, false),
                Some(Change::Left(node)) => self.put(node, true),
                None => return,
            }
        }
    }

    /// Moves installed packages along whose dependencies a newer version of another one broke.
    fn mend(&mut self) -> bool {
        while self.moved {
            self.moved = false;
            for node in self.world.installed().to_vec() {
                let needs = self.world.relations(node).needs.clone();
                let lacks = |group: &&GroupId| !self.is_met(**group);
                let broken = needs.iter().find(lacks).copied();
                let Some(group) = broken.filter(|_| is_set(&self.chosen, node)) else { continue };
                let other = self.world.upgrade(node);
                let frame = other.and_then(|other| self.choose(other));
                let mended = match frame {
                    Some(frame) => self.complete(frame),
                    None => false,
                };
                if !mended {
                    let (items, mark) = (vec![Item::Need(group)], self.trail.len());
                    let frame = Frame { node: None, items, item: 0, tried: 0, mark };
                    if !self.complete(frame) {
                        return false;
                    }
                    self.moved = true;
                }
            }
        }
        true
    }
}

enum Next {
    Met,
    Try(Node, usize),
    Over,
}

fn is_set(flags: &[bool], node: Node) -> bool {
    flags.get(node as usize).copied().unwrap_or_default()
}

fn set(flags: &mut Vec<bool>, node: Node, value: bool) {
    let at = node as usize;
    if flags.len() <= at {
        flags.resize(at + 1, false);
    }
    if let Some(flag) = flags.get_mut(at) {
        *flag = value;
    }
}
