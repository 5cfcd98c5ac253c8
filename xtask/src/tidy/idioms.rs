//! Idioms that readers of Rust expect: the variable first in a comparison, one `let` for each binding, `if` on a boolean.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context;
use proc_macro2::{Span, TokenStream};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{BinOp, Expr, ExprBinary, ExprMatch, Lit, Local, Macro, Pat, Token};

use super::files::{files_below, read};
use crate::violation::Violation;
use crate::workspace::Workspace;

/// Checks every source file of the members, tests included.
pub(super) fn check(root: &Path, workspace: &Workspace) -> anyhow::Result<Vec<Violation>> {
    // A member may lie in another one's folder.
    let mut files = BTreeSet::new();
    for member in workspace.members() {
        for folder in ["src", "tests", "benches", "examples"] {
            files.extend(files_below(&member.manifest.with_file_name(folder), "rs")?);
        }
    }
    let mut violations = Vec::new();
    for file in files {
        let name = file.strip_prefix(root).unwrap_or(&file).display();
        let places = places(&read(&file)?).with_context(|| format!("parsing {name}"))?;
        violations.extend(places.into_iter().map(|Place { line, idiom }| {
            Violation::new(format!("{name}:{line}"), idiom.what(), idiom.to_do())
        }));
    }
    Ok(violations)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Idiom {
    Comparison,
    TupleLet,
    MatchOnBool,
}

impl Idiom {
    fn what(self) -> &'static str {
        match self {
            Self::Comparison => "a comparison begins with its constant",
            Self::TupleLet => "one `let` binds several values that are written as a tuple",
            Self::MatchOnBool => "`match` on a boolean",
        }
    }

    fn to_do(self) -> &'static str {
        match self {
            Self::Comparison => "write `x > 0`, not `0 < x`",
            Self::TupleLet => "write one `let` for each binding",
            Self::MatchOnBool => "write `if`",
        }
    }
}

/// Where something is written in an unexpected way.
#[derive(Debug)]
struct Place {
    line: usize,
    idiom: Idiom,
}

fn places(source: &str) -> syn::Result<Vec<Place>> {
    let mut visitor = Visitor { places: Vec::new() };
    visitor.visit_file(&syn::parse_file(source)?);
    Ok(visitor.places)
}

struct Visitor {
    places: Vec<Place>,
}

impl Visitor {
    fn note(&mut self, span: Span, idiom: Idiom) {
        self.places.push(Place { line: span.start().line, idiom });
    }
}

impl<'ast> Visit<'ast> for Visitor {
    fn visit_expr_binary(&mut self, binary: &'ast ExprBinary) {
        if is_comparison(&binary.op) && is_constant(&binary.left) && !is_constant(&binary.right) {
            self.note(binary.span(), Idiom::Comparison);
        }
        visit::visit_expr_binary(self, binary);
    }

    fn visit_local(&mut self, local: &'ast Local) {
        let pattern = match &local.pat {
            Pat::Type(typed) => &*typed.pat,
            pattern => pattern,
        };
        // With `else` the values are matched together.
        let values = local.init.as_ref().filter(|init| init.diverge.is_none());
        let is_tuple = values.is_some_and(|init| matches!(&*init.expr, Expr::Tuple(_)));
        if is_tuple && matches!(pattern, Pat::Tuple(_)) {
            self.note(local.span(), Idiom::TupleLet);
        }
        visit::visit_local(self, local);
    }

    fn visit_expr_match(&mut self, matched: &'ast ExprMatch) {
        if matched.arms.iter().any(|arm| is_boolean(&arm.pat)) {
            self.note(matched.span(), Idiom::MatchOnBool);
        }
        visit::visit_expr_match(self, matched);
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        for argument in arguments(called.tokens.clone()) {
            Visit::visit_expr(self, &argument);
        }
    }
}

/// The arguments of a macro; nothing when they are no expressions.
fn arguments(tokens: TokenStream) -> Vec<Expr> {
    let parser = Punctuated::<Expr, Token![,]>::parse_terminated;
    parser.parse2(tokens).map(|list| list.into_iter().collect()).unwrap_or_default()
}

fn is_comparison(operator: &BinOp) -> bool {
    matches!(
        operator,
        BinOp::Lt(_) | BinOp::Le(_) | BinOp::Gt(_) | BinOp::Ge(_) | BinOp::Eq(_) | BinOp::Ne(_)
    )
}

/// A literal, a name in capitals, or what is calculated from both.
fn is_constant(expression: &Expr) -> bool {
    match expression {
        Expr::Lit(_) => true,
        Expr::Unary(unary) => is_constant(&unary.expr),
        Expr::Paren(inner) => is_constant(&inner.expr),
        Expr::Cast(cast) => is_constant(&cast.expr),
        Expr::Binary(binary) => is_constant(&binary.left) && is_constant(&binary.right),
        Expr::Path(path) => path.path.segments.last().is_some_and(|last| {
            let name = last.ident.to_string();
            let capital = |letter: char| {
                letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_'
            };
            name.len() > 1 && name.chars().all(capital)
        }),
        _ => false,
    }
}

fn is_boolean(pattern: &Pat) -> bool {
    match pattern {
        Pat::Lit(literal) => matches!(literal.lit, Lit::Bool(_)),
        Pat::Or(either) => either.cases.iter().any(is_boolean),
        Pat::Paren(inner) => is_boolean(&inner.pat),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: &[Idiom]) {
        let found = places(&format!("fn f() {{ {body} }}")).unwrap();
        let found: Vec<Idiom> = found.into_iter().map(|place| place.idiom).collect();
        assert_eq!(found, expected, "{body}");
    }

    #[test]
    fn the_constant_comes_second() {
        for body in ["if 0 < x {}", "MAX_SIZE / 2 <= x.len();", "f(|x| u8::MAX == x);", "-1 != x;"]
        {
            check(body, &[Idiom::Comparison]);
        }
        for body in ["if x > 0 {}", "1 + x < y;", "MAX_SIZE < LIMIT;", "x < MAX;"] {
            check(body, &[]);
        }
    }

    #[test]
    fn macros_are_looked_into() {
        check("assert!(0 < x, \"{x}\");", &[Idiom::Comparison]);
        check("json!({\"a\": 1}); matches!(x, 1..=2);", &[]);
    }

    #[test]
    fn each_binding_has_its_let() {
        check("let (a, b) = (1, 2);", &[Idiom::TupleLet]);
        check("let (a, b): (u8, u8) = (1, 2);", &[Idiom::TupleLet]);
        check("let (a, b) = pair(); let (Some(a), Some(b)) = (a, b) else { return };", &[]);
    }

    #[test]
    fn booleans_are_asked_with_if() {
        check("match x { true => 1, false => 2 };", &[Idiom::MatchOnBool]);
        check("match x { true if y => 1, _ => 2 };", &[Idiom::MatchOnBool]);
        check("match (x, y) { (true, _) => 1, _ => 2 };", &[]);
    }

    #[test]
    fn the_line_is_told() {
        let places = places("fn f() {\n    if 0 < x {}\n}").unwrap();
        assert_eq!(places[0].line, 2);
    }
}
