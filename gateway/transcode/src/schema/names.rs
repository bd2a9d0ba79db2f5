//! Fields by name: an open-addressed hash table of at most half its places, in one allocation. A name is hashed by its
//! length and its ends only, since the fields of one message rarely agree in both.

use super::Field;

/// The names of a message's fields, both those of JSON and those of the `.proto` file.
#[derive(Debug)]
pub(super) struct Names {
    /// The index of a field, shifted by one bit that says which of its names it is, plus one; 0 for an empty place.
    places: Box<[u32]>,
}

// === impl Names ===

impl Names {
    /// Collects the names of these fields. A name that several fields have is that of the first; those of JSON come
    /// first, since protobuf's compiler compares only these.
    pub(super) fn new(fields: &[Field]) -> Self {
        let size = (fields.len() * 4).next_power_of_two().max(2);
        let mut names = Self { places: vec![0; size].into() };
        let of_json =
            fields.iter().map(|field| &field.json_name).enumerate().map(|(index, name)| (index * 2, name));
        let of_proto =
            fields.iter().map(|field| &field.name).enumerate().map(|(index, name)| (index * 2 + 1, name));
        for (entry, name) in of_json.chain(of_proto) {
            if names.find(name.as_bytes(), fields).is_none() {
                names.insert(name.as_bytes(), entry);
            }
        }
        names
    }

    /// The index of the field of this name.
    pub(super) fn find(&self, name: &[u8], fields: &[Field]) -> Option<usize> {
        let mut place = hash(name) as usize;
        loop {
            place &= self.places.len() - 1;
            let entry = self.places[place].checked_sub(1)? as usize;
            let field = &fields[entry / 2];
            let found = if entry.is_multiple_of(2) { &field.json_name } else { &field.name };
            if found.as_bytes() == name {
                return Some(entry / 2);
            }
            place += 1;
        }
    }

    fn insert(&mut self, name: &[u8], entry: usize) {
        let mut place = hash(name) as usize & (self.places.len() - 1);
        while self.places[place] != 0 {
            place = (place + 1) & (self.places.len() - 1);
        }
        self.places[place] = u32::try_from(entry + 1).expect("a message has fewer than 2^31 fields");
    }
}

fn hash(name: &[u8]) -> u32 {
    let (head, tail) = match name.len() {
        0 => (0, 0),
        length @ 1..8 => {
            let bytes =
                |from: usize| name[from..].iter().take(4).fold(0, |all, byte| (all << 8) | u64::from(*byte));
            (bytes(0), bytes(length.saturating_sub(4)))
        }
        length => {
            let word = |from: usize| {
                let bytes = name[from..from + 8].try_into().expect("8 bytes");
                u64::from_le_bytes(bytes)
            };
            (word(0), word(length - 8))
        }
    };
    let mixed = (head ^ tail.rotate_left(29) ^ name.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) as u32
}
