//! COPY and ADD.

use mabuild_dockerfile::{self as ast, Remote, Transfer};
use mabuild_lang::source::Span;

use super::instruction::texts;
use super::{From, Lowering};
use crate::facts::{ContextAsk, FilesAsk, GitAsk};
use crate::lower::LowerError;
use crate::spec::{Asked, Copy, Input, Op};

impl Lowering<'_> {
    pub(super) fn copy(
        &mut self,
        copy: ast::Copy,
        stage: usize,
        span: Span,
    ) -> Result<Op<Asked>, LowerError> {
        let ast::Copy { files, from, parents } = copy;
        let from = match &from {
            Some(word) => Some(self.copied(stage, word)?),
            None => None,
        };
        let read = |paths: Vec<String>, exclude: &[String]| match &from {
            None => Ok(Input::Files(self.context(paths, exclude, parents))),
            Some(From::Image(image)) => Ok(Input::Image { image: image.clone(), sources: paths }),
            Some(From::Folder(folder)) => {
                let ask = ContextAsk {
                    exclude: exclude.to_vec(),
                    parents,
                    ..ContextAsk::of(folder.clone(), paths)
                };
                Ok(Input::Files(FilesAsk::Context(ask)))
            }
            Some(From::Nothing) => {
                let message = "there is nothing to copy from".to_owned();
                Err(LowerError { message, span })
            }
        };
        transfer(files, false, parents, &read, &|_| None)
    }

    pub(super) fn add(&mut self, add: ast::Add, span: Span) -> Result<Op<Asked>, LowerError> {
        let ast::Add { files, checksum, keep_git_dir, unpack } = add;
        let checksum = checksum.map(|word| word.raw).filter(|text| !text.is_empty());
        let remote = |source: &str| fetched(source, keep_git_dir, checksum.as_deref());
        let is_local = |source: &ast::Source| match source {
            ast::Source::Path(word) => remote(&word.raw).is_none(),
            ast::Source::Heredoc(_) => true,
        };
        if checksum.is_some() && (files.sources.len() != 1 || files.sources.iter().any(is_local)) {
            let message = "`--checksum` is for one address or git repository".to_owned();
            return Err(LowerError { message, span });
        }
        let read = |paths: Vec<String>, exclude: &[String]| {
            Ok(Input::Files(self.context(paths, exclude, false)))
        };
        let mut op = transfer(files, true, false, &read, &remote)?;
        if let Op::Copy(copy) = &mut op {
            copy.unpack = unpack;
        }
        Ok(op)
    }

    fn context(&self, paths: Vec<String>, exclude: &[String], parents: bool) -> FilesAsk {
        FilesAsk::Context(ContextAsk {
            context: self.recipe.context.clone(),
            ignore: Some(self.recipe.ignore.clone()),
            sources: paths,
            exclude: exclude.to_vec(),
            parents,
        })
    }
}

/// Makes an input of paths, with what is left out of them.
type Read<'a> = &'a dyn Fn(Vec<String>, &[String]) -> Result<Input<Asked>, LowerError>;

fn transfer(
    files: Transfer,
    add: bool,
    parents: bool,
    read: Read<'_>,
    remote: &dyn Fn(&str) -> Option<FilesAsk>,
) -> Result<Op<Asked>, LowerError> {
    let Transfer { sources, dest, chown, chmod, link, exclude } = files;
    let exclude = texts(exclude);
    let mut names = Vec::with_capacity(sources.len());
    let mut inputs = Vec::new();
    let mut paths: Vec<String> = Vec::new();
    for source in sources {
        let apart = match source {
            ast::Source::Path(word) => {
                names.push(word.raw.clone());
                match remote(&word.raw) {
                    Some(ask) => Input::Files(ask),
                    None => {
                        paths.push(word.raw);
                        continue;
                    }
                }
            }
            ast::Source::Heredoc(doc) => {
                names.push(format!("<<{}", doc.name));
                Input::Inline { content: doc.content(), name: doc.name }
            }
        };
        if !paths.is_empty() {
            inputs.push(read(std::mem::take(&mut paths), &exclude)?);
        }
        inputs.push(apart);
    }
    if !paths.is_empty() {
        inputs.push(read(paths, &exclude)?);
    }
    let given = |word: Option<ast::Word>| word.map(|w| w.raw).filter(|text| !text.is_empty());
    Ok(Op::Copy(Box::new(Copy {
        add,
        owner: given(chown),
        mode: given(chmod),
        link,
        parents,
        exclude,
        ..Copy::of(inputs, names, dest.raw)
    })))
}

/// What ADD fetches; none for a local path.
fn fetched(source: &str, keep_git_dir: bool, checksum: Option<&str>) -> Option<FilesAsk> {
    let checksum = checksum.map(str::to_owned);
    match ast::remote(source) {
        Remote::No => None,
        Remote::Http => Some(FilesAsk::Url { location: source.to_owned(), checksum }),
        Remote::Git => {
            let (remote, rest) = source.split_once('#').unwrap_or((source, ""));
            let (reference, folder) = rest.split_once(':').unwrap_or((rest, ""));
            let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            Some(FilesAsk::Git(GitAsk {
                remote: remote.to_owned(),
                reference: given(reference),
                folder: given(folder),
                keep_git_dir,
                checksum,
            }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_told_from_files() {
        let git = |text: &str| match fetched(text, false, None) {
            Some(FilesAsk::Git(ask)) => Some((ask.remote, ask.reference, ask.folder)),
            _ => None,
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            git("https://example.org/a.git#v1:sub/x"),
            Some(("https://example.org/a.git".to_owned(), some("v1"), some("sub/x")))
        );
        assert_eq!(
            git("git@example.org:a/b"),
            Some(("git@example.org:a/b".to_owned(), None, None))
        );
        assert_eq!(git("https://example.org/a.tar.gz"), None);
        assert!(matches!(
            fetched("https://example.org/a", false, None),
            Some(FilesAsk::Url { .. })
        ));
        assert_eq!(fetched("src/a.git", false, None), None);
    }
}
