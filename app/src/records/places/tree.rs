//! Which place is in which, and what may be put where?
//!
//! Everything here ends also where somebody made a circle of places with SQL: each place of a circle counts as one at the top.

use std::collections::{HashMap, HashSet};

use super::entity::Model;
use crate::{
    http::{FieldError, Problem},
    records::fold::title_key,
};

/// So deep may places be within one another.
pub(crate) const DEPTH_MAX: usize = 8;

/// All places, each with the one that it is in.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    places: HashMap<i64, Model>,
    /// The places in each, in the order of the alphabet; `None` has those at the top.
    inner: HashMap<Option<i64>, Vec<i64>>,
}

impl Tree {
    /// Returns the tree of these places, which are all there are.
    pub(crate) fn new(all: Vec<Model>) -> Self {
        let ids: Vec<(i64, Vec<u8>)> = all.iter().map(|place| (place.id, title_key(&place.name))).collect();
        let mut places: HashMap<i64, Model> = all.into_iter().map(|place| (place.id, place)).collect();
        let astray: Vec<i64> = ids.iter().map(|(id, _)| *id).filter(|id| is_astray(&places, *id)).collect();
        for id in astray {
            places.entry(id).and_modify(|place| place.parent_id = None);
        }
        let mut inner: HashMap<Option<i64>, Vec<i64>> = HashMap::new();
        let mut ids = ids;
        ids.sort_by(|(one, by), (other, then)| by.cmp(then).then(one.cmp(other)));
        for (id, _) in ids {
            inner.entry(places[&id].parent_id).or_default().push(id);
        }
        Self { places, inner }
    }

    /// Returns a place; in a circle it has no parent.
    pub(crate) fn get(&self, id: i64) -> Option<&Model> {
        self.places.get(&id)
    }

    /// Returns all places in the order of a table of contents, each with the number of those that it is in.
    pub(crate) fn in_order(&self) -> Vec<(usize, &Model)> {
        let mut found = Vec::new();
        self.visit(None, 0, &mut |depth, place| found.push((depth, place)));
        found
    }

    /// Returns the places that are in a place, or at the top, without those within them.
    pub(crate) fn inner(&self, id: Option<i64>) -> impl Iterator<Item = &Model> {
        self.inner.get(&id).into_iter().flatten().filter_map(|id| self.get(*id))
    }

    /// Returns a place and all that it is in, from the outermost to itself.
    pub(crate) fn way(&self, id: i64) -> Vec<&Model> {
        let mut way: Vec<&Model> = std::iter::successors(self.get(id), |place| self.get(place.parent_id?)).collect();
        way.reverse();
        way
    }

    /// Returns the names on the way to a place, as people read them.
    pub(crate) fn path(&self, id: i64) -> String {
        self.way(id).iter().map(|place| place.name.as_str()).collect::<Vec<_>>().join(" / ")
    }

    /// Returns a place and all that are in it, however deep.
    pub(crate) fn within(&self, id: i64) -> Vec<i64> {
        let mut found = vec![id];
        self.visit(Some(id), 0, &mut |_, place| found.push(place.id));
        found
    }

    fn visit<'a>(&'a self, parent: Option<i64>, depth: usize, take: &mut impl FnMut(usize, &'a Model)) {
        for place in self.inner(parent) {
            take(depth, place);
            self.visit(Some(place.id), depth + 1, take);
        }
    }

    /// Refuses what `place`, which is new without an id, cannot be: in itself, too deep, or with a name that is taken.
    pub(crate) fn check(&self, place: &Model, is_new: bool) -> Result<(), Problem> {
        let wrong = |why: String| Err(Problem::fields(vec![FieldError::new("parent_id", why)]));
        let own = if is_new { Vec::new() } else { self.within(place.id) };
        let outer = match place.parent_id {
            None => 0,
            Some(parent) if self.get(parent).is_none() => return wrong("is not the id of a place".to_owned()),
            Some(parent) if own.contains(&parent) => {
                return wrong("must not be the place itself, or a place that is in it".to_owned());
            }
            Some(parent) => self.way(parent).len(),
        };
        if outer + self.height(&own) > DEPTH_MAX {
            return wrong(format!("is too deep: places go {DEPTH_MAX} deep at most"));
        }
        let mut others = self.inner(place.parent_id).filter(|other| is_new || other.id != place.id);
        match others.find(|other| other.name_key == place.name_key) {
            Some(other) => {
                let taken = match place.parent_id {
                    Some(parent) => format!("“{}” already has a place “{}”.", self.path(parent), other.name),
                    None => format!("There is already a place “{}”.", other.name),
                };
                Err(Problem::conflict(taken))
            }
            None => Ok(()),
        }
    }

    /// Returns how many places deep these go, of which the first has all others in it; 1 for one that is new.
    fn height(&self, places: &[i64]) -> usize {
        let outer = places.first().map_or(1, |first| self.way(*first).len());
        places.iter().map(|id| self.way(*id).len() + 1 - outer).max().unwrap_or(1)
    }
}

/// Whether a place is in a circle, or in a place that is not there.
fn is_astray(places: &HashMap<i64, Model>, id: i64) -> bool {
    let mut seen = HashSet::new();
    let mut next = places.get(&id).and_then(|place| place.parent_id);
    let is_missing = next.is_some_and(|parent| !places.contains_key(&parent));
    while let Some(parent) = next {
        if parent == id || !seen.insert(parent) {
            return parent == id;
        }
        next = places.get(&parent).and_then(|place| place.parent_id);
    }
    is_missing
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::records::fold::category_key;

    pub(crate) fn place(id: i64, parent_id: Option<i64>, name: &str) -> Model {
        Model { id, parent_id, name: name.to_owned(), name_key: category_key(name) }
    }

    fn house() -> Tree {
        Tree::new(vec![
            place(1, None, "House"),
            place(2, Some(1), "Kitchen"),
            place(3, Some(2), "Drawer"),
            place(4, Some(1), "Attic"),
            place(5, None, "Garage"),
        ])
    }

    fn names(tree: &Tree) -> Vec<String> {
        tree.in_order().iter().map(|(depth, place)| format!("{depth} {}", place.name)).collect()
    }

    #[test]
    fn places_stand_within_one_another_in_the_order_of_the_alphabet() {
        let tree = house();
        assert_eq!(names(&tree), ["0 Garage", "0 House", "1 Attic", "1 Kitchen", "2 Drawer"]);
        assert_eq!(tree.path(3), "House / Kitchen / Drawer");
        assert_eq!((tree.within(1), tree.within(9)), (vec![1, 4, 2, 3], vec![9]));
        assert_eq!(tree.inner(Some(1)).map(|place| place.id).collect::<Vec<_>>(), [4, 2]);
    }

    fn refusal(tree: &Tree, place: &Model, is_new: bool) -> String {
        match tree.check(place, is_new) {
            Ok(()) => String::new(),
            Err(problem) => match problem.errors() {
                [] => problem.sentence().to_owned(),
                errors => errors.iter().map(|error| format!("{} {}", error.name(), error.message())).collect(),
            },
        }
    }

    #[test]
    fn what_a_place_cannot_be_is_refused() {
        let tree = house();
        assert_eq!(refusal(&tree, &place(0, Some(4), "Kitchen"), true), "");
        assert_eq!(refusal(&tree, &place(2, Some(5), "Drawer"), false), "");
        assert_eq!(refusal(&tree, &place(2, Some(1), "KITCHEN"), false), "", "its own name is not taken");
        assert_eq!(refusal(&tree, &place(0, Some(1), "KÌtchen "), true), "“House” already has a place “Kitchen”.");
        assert_eq!(refusal(&tree, &place(5, None, "house"), false), "There is already a place “House”.");
        for parent in [2, 3] {
            let why = refusal(&tree, &place(2, Some(parent), "Kitchen"), false);
            assert_eq!(why, "parent_id must not be the place itself, or a place that is in it");
        }
        assert_eq!(refusal(&tree, &place(0, Some(9), "x"), true), "parent_id is not the id of a place");
    }

    #[test]
    fn places_go_eight_deep() {
        let mut all: Vec<_> = (1..=8).map(|id| place(id, (id > 1).then_some(id - 1), "Box")).collect();
        all.extend([place(9, None, "Shelf"), place(10, Some(9), "Tin")]);
        let tree = Tree::new(all);
        assert_eq!(refusal(&tree, &place(0, Some(7), "Tin"), true), "");
        assert!(refusal(&tree, &place(0, Some(8), "Tin"), true).contains("8 deep"));
        assert_eq!(refusal(&tree, &place(9, Some(6), "Shelf"), false), "");
        assert!(refusal(&tree, &place(9, Some(7), "Shelf"), false).contains("8 deep"));
    }

    #[test]
    fn a_circle_that_was_made_by_hand_has_an_end_and_a_way_out() {
        let tree = Tree::new(vec![
            place(1, Some(3), "a"),
            place(2, Some(1), "b"),
            place(3, Some(2), "c"),
            place(4, Some(2), "d"),
            place(5, Some(5), "e"),
            place(6, Some(99), "f"),
        ]);
        assert_eq!(names(&tree), ["0 a", "0 b", "1 d", "0 c", "0 e", "0 f"]);
        assert_eq!((tree.path(4), tree.within(2)), ("b / d".to_owned(), vec![2, 4]));
        assert_eq!(refusal(&tree, &place(1, None, "a"), false), "");
    }
}
