//! A page of the manual: its sections, and the commands in them.

/// Markdown with one heading of the first level.
#[derive(Clone, Copy)]
pub(crate) struct Page(pub(crate) &'static str);

impl Page {
    /// What stands below a heading of the second level.
    pub(crate) fn section(self, heading: &str) -> &'static str {
        let line = format!("\n## {heading}\n");
        let mut parts = self.0.split(&*line);
        let rest = parts.nth(1);
        let rest = rest.unwrap_or_else(|| panic!("the page has no section {heading:?}"));
        rest.split("\n## ").next().expect("split has a first part")
    }

    /// The headings of the second level.
    pub(crate) fn headings(self) -> Vec<&'static str> {
        let lines = self.0.lines();
        lines.filter_map(|line| line.strip_prefix("## ")).collect()
    }

    /// The blocks of a section that are of this kind.
    pub(crate) fn blocks(self, heading: &str, kind: &str) -> Vec<&'static str> {
        let opening = format!("```{kind}\n");
        let parts = self.section(heading).split(&*opening).skip(1);
        parts
            .map(|rest| rest.split("```").next().expect("a closing fence"))
            .collect()
    }

    /// One of the blocks of commands.
    pub(crate) fn commands(self, heading: &str, at: usize) -> &'static str {
        let blocks = self.blocks(heading, "sh");
        let block = blocks.get(at);
        block.unwrap_or_else(|| panic!("{heading:?} has no block of commands number {at}"))
    }
}
