//! The input of the rules: the files of the working tree, split into code and comments by a small lexer, so that a word
//! in a comment or a literal does not count as code.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

/// Every file and folder of the working tree.
pub(crate) static TREE: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    let mut tree = Vec::new();
    walk("", &mut tree);
    tree
});

/// Every Rust file of the working tree.
pub(crate) static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let rust = TREE.iter().filter(|entry| !entry.is_folder && entry.path.ends_with(".rs"));
    rust.map(|entry| Source::new(&entry.path, &read(&entry.path))).collect()
});

/// A file or folder.
pub(crate) struct Entry {
    /// The path from the root of the repository, with `/`.
    pub(crate) path: String,
    /// Whether it is a folder.
    pub(crate) is_folder: bool,
}

/// A Rust file.
pub(crate) struct Source {
    /// The path from the root of the repository, with `/`.
    pub(crate) path: String,
    /// The whole text.
    pub(crate) text: String,
    /// The text with comments and the content of literals replaced by blanks, so that offsets stay valid.
    pub(crate) code: String,
    /// The text with everything but comments replaced by blanks.
    pub(crate) comments: String,
}

// === impl Source ===

impl Source {
    /// Splits `text` as the file at `path`.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let (mut code, mut comments) = (String::with_capacity(text.len()), String::with_capacity(text.len()));
        let mut rest = text;
        while !rest.is_empty() {
            let (lexeme, length) = Lexeme::first_of(rest);
            let (read, after) = rest.split_at(length);
            code.push_str(&if lexeme == Lexeme::Code { read.to_owned() } else { blank(read) });
            comments.push_str(&if lexeme == Lexeme::Comment { read.to_owned() } else { blank(read) });
            rest = after;
        }
        Self { path: path.to_owned(), text: text.to_owned(), code, comments }
    }

    /// Whether the file belongs to a folder (`mesh/src`) or to a module (`a/foo.rs`, which owns `a/foo/` too).
    pub(crate) fn is_in(&self, place: &str) -> bool {
        let folder = place.strip_suffix(".rs").unwrap_or(place);
        self.path == place || self.path.strip_prefix(folder).is_some_and(|below| below.starts_with('/'))
    }

    /// Whether the whole file is a test.
    pub(crate) fn is_test(&self) -> bool {
        self.path.split('/').any(|part| part == "tests" || part == "tests.rs")
    }

    /// The code without its unit tests, which are at the end of the file.
    pub(crate) fn code_without_tests(&self) -> &str {
        if self.is_test() { "" } else { self.code.split("#[cfg(test)]\nmod ").next().unwrap_or_default() }
    }

    /// A message with a location in this file, in a format that editors recognize.
    pub(crate) fn at(&self, offset: usize, what: &str) -> String {
        let line = self.text[..offset].matches('\n').count() + 1;
        format!("{}:{line}: {what}", self.path)
    }
}

/// The offsets of the whole word `word` in `code`; a word may end in punctuation, for instance `print!(`.
pub(crate) fn words(code: &str, word: &str) -> Vec<usize> {
    let joins = |letter: Option<char>| letter.is_some_and(is_word);
    let whole = |&at: &usize| {
        let ends_open = word.ends_with(is_word) && joins(code[at + word.len()..].chars().next());
        !joins(code[..at].chars().next_back()) && !ends_open
    };
    code.match_indices(word).map(|(at, _)| at).filter(whole).collect()
}

/// Reads a file of the repository.
pub(crate) fn read(path: &str) -> String {
    let full = root().join(path);
    fs::read_to_string(&full).unwrap_or_else(|error| panic!("{}: {error}", full.display()))
}

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate of the tests is in the repository")
}

/// The kinds of text in a Rust file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lexeme {
    Code,
    Comment,
    Literal,
}

impl Lexeme {
    /// The first lexeme of `text` and its length in bytes. Nested block comments are not supported.
    fn first_of(text: &str) -> (Self, usize) {
        let through =
            |end: &str, from: usize| text[from..].find(end).map_or(text.len(), |at| from + at + end.len());
        let mut letters = text.chars();
        match (letters.next(), letters.next()) {
            (Some('/'), Some('/')) => (Self::Comment, text.find('\n').unwrap_or(text.len())),
            (Some('/'), Some('*')) => (Self::Comment, through("*/", 2)),
            (Some('"'), _) => (Self::Literal, quoted(text, '"')),
            (Some('\''), Some('\\')) => (Self::Literal, quoted(text, '\'')),
            // A character literal has a closing quote; otherwise it is a lifetime.
            (Some('\''), Some(letter)) if letters.next() == Some('\'') => {
                (Self::Literal, 2 + letter.len_utf8())
            }
            (Some(first), _) if is_word(first) => {
                let word = text.find(|letter| !is_word(letter)).unwrap_or(text.len());
                let hashes = text[word..].bytes().take_while(|&byte| byte == b'#').count();
                let is_raw =
                    matches!(&text[..word], "r" | "br" | "cr") && text[word + hashes..].starts_with('"');
                if is_raw {
                    let end = format!("\"{}", "#".repeat(hashes));
                    (Self::Literal, through(&end, word + hashes + 1))
                } else {
                    (Self::Code, word)
                }
            }
            (first, _) => (Self::Code, first.map_or(0, char::len_utf8)),
        }
    }
}

/// The length of the literal at the start of `text`, up to the next unescaped `quote`.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if letter == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// Blanks of the same number of bytes and lines.
fn blank(text: &str) -> String {
    text.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect()
}

/// Lists the entries below `folder`, except those that git ignores at the root, and `.git`.
fn walk(folder: &str, tree: &mut Vec<Entry>) {
    static IGNORED: LazyLock<String> = LazyLock::new(|| read(".gitignore"));
    let ignored =
        |path: &str| path == ".git" || IGNORED.lines().any(|line| line.strip_prefix('/') == Some(path));
    let children = fs::read_dir(root().join(folder)).expect("a folder that was just listed can be read");
    let mut children: Vec<_> = children.map(|child| child.expect("and so can its entries")).collect();
    children.sort_by_key(fs::DirEntry::file_name);
    for child in children {
        let name = child.file_name().into_string().expect("names in the repository are UTF-8");
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        if ignored(&path) {
            continue;
        }
        let is_folder = child.path().is_dir();
        tree.push(Entry { path: path.clone(), is_folder });
        if is_folder {
            walk(&path, tree);
        }
    }
}

#[test]
fn comments_and_literals_are_not_code() {
    let check = |text: &str, code: &str, comments: &str| {
        let source = Source::new("x.rs", text);
        let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(
            (squeeze(&source.code), squeeze(&source.comments)),
            (code.to_owned(), comments.to_owned()),
            "{text}"
        );
        assert_eq!((source.code.len(), source.comments.len()), (text.len(), text.len()), "{text}");
    };
    check("a // b\nc", "a c", "// b");
    check("a /* b\n */ c", "a c", "/* b */");
    check(r#"a("http://b") // c"#, "a( )", "// c");
    check(r#"a("\" // b", c)"#, "a( , c)", "");
    check("a(r#\"b\" // \"#, br\"c\\\", d)", "a( , , d)", "");
    check("a('\"', '\\'', 'è') // b", "a( , , )", "// b");
    check("fn a<'b>(b: &'b str) {}", "fn a<'b>(b: &'b str) {}", "");
    check("r#type = for_\"", "r#type = for_", "");
}

#[test]
fn unit_tests_are_not_part_of_the_code() {
    let check = |path: &str, text: &str, shipped: &str| {
        assert_eq!(Source::new(path, text).code_without_tests(), shipped, "{path}: {text}");
    };
    check("a/src/b.rs", "fn c() {}\n#[cfg(test)]\nmod tests {}", "fn c() {}\n");
    check("a/src/b.rs", "fn c() {}\n", "fn c() {}\n");
    check("a/src/b/tests.rs", "fn c() {}\n", "");
    check("a/tests/b.rs", "fn c() {}\n", "");
}

#[test]
fn a_module_owns_its_submodules() {
    let check = |path: &str, place: &str, expected: bool| {
        assert_eq!(Source::new(path, "").is_in(place), expected, "{path} in {place}");
    };
    check("mesh/src/a.rs", "mesh", true);
    check("mesh/src/a.rs", "mesh/src/a.rs", true);
    check("mesh/src/a/b.rs", "mesh/src/a.rs", true);
    check("mesh/src/ab.rs", "mesh/src/a.rs", false);
    check("meshes/src/a.rs", "mesh", false);
}

#[test]
fn words_are_whole() {
    let check =
        |code: &str, word: &str, expected: &[usize]| assert_eq!(words(code, word), expected, "{code}");
    check("tonic::x use_tonic tonic_types tonic", "tonic", &[0, 31]);
    check("eprintln!(a); println!(b)", "println!(", &[14]);
}
