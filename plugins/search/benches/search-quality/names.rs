//! A catalogue of fictional creators, the same for the same seed.

use std::collections::HashSet;
use std::fmt::Write as _;

use search::catalogue::Row;
use search::fold::fold;

const FIRST_NAMES: usize = 600;
const LAST_NAMES: usize = 3_000;
/// The most popular names come up most often: a share of the list to this power.
const POPULARITY: i32 = 2;

const BEGINNINGS: &[&str] = &[
    "b", "br", "c", "ch", "cl", "d", "dr", "f", "fr", "g", "gr", "h", "j", "k", "l", "m", "n", "p",
    "pr", "r", "s", "sh", "st", "t", "th", "tr", "v", "w", "y", "z", "", "",
];
const MIDDLES: &[&str] = &["a", "a", "e", "e", "i", "i", "o", "u", "ai", "ea", "ia", "ie", "ou"];
const ENDS: &[&str] = &["", "", "", "l", "ll", "m", "n", "n", "nd", "r", "rt", "s", "ss", "t", "x"];
const OF_LAST_NAMES: &[&str] = &["", "", "", "by", "ford", "ham", "son", "ton", "well", "wood"];
const OF_HANDLES: &[&str] =
    &["art", "bakes", "daily", "draws", "films", "folds", "paints", "plays", "sings", "studio"];
const ACCENTS: &[(&str, &str)] = &[
    ("a", "á"),
    ("e", "é"),
    ("i", "í"),
    ("o", "ø"),
    ("o", "ö"),
    ("u", "ü"),
    ("n", "ñ"),
    ("l", "ł"),
];

/// Random numbers from a seed (`SplitMix64`).
#[derive(Debug, Clone)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.roll() % end as u64) as usize
    }

    /// True so many times in a hundred.
    pub(crate) fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    fn popular<'a>(&mut self, from: &'a [String]) -> &'a str {
        let share = (self.roll() >> 11) as f64 / (1_u64 << 53) as f64;
        &from[(share.powi(POPULARITY) * from.len() as f64) as usize]
    }
}

/// So many creators, each of whose names is nobody else's.
pub(crate) fn catalogue(dice: &mut Dice, count: usize) -> Vec<Row> {
    let first = words(dice, FIRST_NAMES, &[2, 2, 3], &[""]);
    let last = words(dice, LAST_NAMES, &[1, 2, 2, 3], OF_LAST_NAMES);
    let mut taken = HashSet::new();
    let mut rows = Vec::with_capacity(count);
    while rows.len() < count {
        let given = dice.popular(&first).to_owned();
        let family = dice.popular(&last).to_owned();
        let name = match dice.below(100) {
            0..65 => format!("{given} {family}"),
            65..77 => format!("{given} {} {family}", dice.popular(&first)),
            77..90 => capital(&handle(dice, &given, &family)),
            _ => handle(dice, &given, &family),
        };
        let name = if dice.percent(8) { accented(dice, &name) } else { name };
        if !taken.insert(key(&name)) {
            continue;
        }
        let wanted = [0, 0, 0, 0, 0, 1, 1, 1, 1, 2][dice.below(10)];
        let aliases = (0..wanted).map(|_| handle(dice, &given, &family));
        let aliases = aliases.filter(|alias| taken.insert(key(alias))).collect();
        let url = format!("https://creators.example/{}", fold(&name).replace(' ', "-"));
        let item_count = Some(dice.below(120) as u64);
        rows.push(Row { name, url, aliases, item_count });
    }
    rows
}

/// The catalogue as an operator would have it: other names in a column of their own, or behind the name.
pub(crate) fn csv(rows: &[Row]) -> String {
    let mut csv = "model_name,profile_link,aliases,item_count\n".to_owned();
    for (number, row) in rows.iter().enumerate() {
        let (name, aliases) = match (number % 3, row.aliases.as_slice()) {
            (0, [other]) => (format!("{} / {other}", row.name), String::new()),
            (0, [other, third]) => (format!("{} | {other} ({third})", row.name), String::new()),
            (_, aliases) => (row.name.clone(), aliases.join("|")),
        };
        let count = row.item_count.unwrap_or_default();
        writeln!(csv, "{name},{},{aliases},{count}", row.url).unwrap();
    }
    csv
}

fn key(name: &str) -> String {
    fold(name).replace(' ', "")
}

fn words(dice: &mut Dice, count: usize, syllables: &[usize], endings: &[&str]) -> Vec<String> {
    let mut words = Vec::with_capacity(count);
    let mut taken = HashSet::new();
    while words.len() < count {
        let mut word = String::new();
        let many = syllables[dice.below(syllables.len())];
        for syllable in 0..many {
            word += dice.pick(BEGINNINGS);
            word += dice.pick(MIDDLES);
            if syllable + 1 == many || dice.percent(30) {
                word += dice.pick(ENDS);
            }
        }
        word += dice.pick(endings);
        if (4..=11).contains(&word.len()) && taken.insert(word.clone()) {
            words.push(capital(&word));
        }
    }
    words
}

fn handle(dice: &mut Dice, given: &str, family: &str) -> String {
    let given = given.to_lowercase();
    let family = family.to_lowercase();
    match dice.below(6) {
        0 => format!("{given}{family}"),
        1 => format!("{family}_{given}"),
        2 => format!("{given}{}", dice.pick(OF_HANDLES)),
        3 => format!("{given}.{family}{}", dice.below(100)),
        4 => format!("the{family}{}", dice.pick(OF_HANDLES)),
        _ => format!("{given}{}", 10 + dice.below(9_990)),
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
}

fn accented(dice: &mut Dice, name: &str) -> String {
    let (plain, accented) = ACCENTS[dice.below(ACCENTS.len())];
    name.replacen(plain, accented, 1)
}
