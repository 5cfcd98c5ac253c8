//! Checks that a component is well formed and not too complex, before anything else reads it. Reads the names of its
//! imports and exports on the way.
//!
//! The compiler recurses into nested definitions, and expands every instance of a component within another. So a small
//! file can overflow its stack, which ends the process, or use up all memory. Here every section is read without
//! recursion, and counted against limits far above what toolchains produce. A malformed file is refused as well:
//! otherwise it could hide definitions from the count.

use wasmparser::{
    BinaryReader, BinaryReaderError, ComponentAlias, ComponentExternalKind, ComponentInstance,
    ComponentOuterAliasKind, ComponentType, ComponentTypeDeclaration, ComponentTypeRef, CoreType,
    Instance, InstanceTypeDeclaration, Parser, Payload,
};

/// Components within components. One built from a guest has 1, one composed of others a few more.
const COMPONENT_LEVELS: usize = 16;
/// Types within types. An interface within a world within a component type is 3.
const TYPE_LEVELS: usize = 16;
/// Components and modules, over all levels.
const PARTS: usize = 256;
/// Type definitions, over all levels. The test plugin `probe`, with all of WASI, has a few hundred.
const TYPES: usize = 20_000;
/// Imports over all components and modules; the same number of exports.
const NAMES: usize = 20_000;
/// Instances that one instance of the component creates.
const INSTANCES: usize = 1_000;

/// Why a file is refused.
#[derive(Debug)]
pub(in crate::plugin) enum StructureError {
    /// It is not well-formed.
    Malformed(BinaryReaderError),
    /// It has more than `limit` of something.
    TooMany { what: &'static str, limit: usize },
}

impl From<BinaryReaderError> for StructureError {
    fn from(error: BinaryReaderError) -> Self {
        Self::Malformed(error)
    }
}

/// What a component takes from the host and offers to it, by name. Types with a name of their own are left out.
#[derive(Debug, Default)]
pub(in crate::plugin) struct Outline {
    pub(in crate::plugin) imports: Vec<String>,
    pub(in crate::plugin) exports: Vec<String>,
}

/// Reads all sections of `wasm`. The outline of a module is empty.
pub(in crate::plugin) fn check(wasm: &[u8]) -> Result<Outline, StructureError> {
    let mut counts = Counts::default();
    for payload in Parser::new(0).parse_all(wasm) {
        counts.add_section(payload?, wasm)?;
    }
    Ok(counts.outline)
}

/// What has been read so far.
#[derive(Default)]
struct Counts {
    /// Components and modules whose end is not reached, the innermost last.
    open: Vec<Part>,
    parts: usize,
    types: usize,
    imports: usize,
    exports: usize,
    outline: Outline,
}

/// One component or module.
#[derive(Default)]
struct Part {
    /// Instances that one instance of it creates, including itself.
    instances: usize,
    /// The same number for each component in its index space.
    components: Vec<usize>,
    is_component: bool,
}

impl Counts {
    fn add_section(&mut self, payload: Payload<'_>, wasm: &[u8]) -> Result<(), StructureError> {
        match payload {
            Payload::Version { encoding, .. } => {
                let is_component = encoding == wasmparser::Encoding::Component;
                self.open.push(Part { instances: 1, components: Vec::new(), is_component });
                within(
                    "levels of components within components",
                    self.open.len(),
                    COMPONENT_LEVELS,
                )?;
                add(&mut self.parts, 1, "components and modules", PARTS)
            }
            Payload::End(_) => {
                let ended = self.open.pop().unwrap_or_default();
                if ended.is_component { self.add_component(ended.instances) } else { Ok(()) }
            }
            Payload::TypeSection(types) => self.types(types.count()),
            Payload::ImportSection(imports) => self.imports(imports.count()),
            Payload::ExportSection(exports) => self.exports(exports.count()),
            Payload::CoreTypeSection(types) => {
                self.types(types.count())?;
                for core in types {
                    self.core_type(&core?)?;
                }
                Ok(())
            }
            Payload::ComponentTypeSection(types) => {
                let count = types.count();
                let at = types.original_position();
                let range = types.range();
                let bytes = wasm.get(at..range.end).unwrap_or_default();
                self.component_types(&mut BinaryReader::new(bytes, at), count)
            }
            Payload::ComponentImportSection(imports) => {
                self.imports(imports.count())?;
                for import in imports {
                    let import = import?;
                    if let ComponentTypeRef::Component(_) = import.ty {
                        return handed_over();
                    }
                    let is_type = matches!(import.ty, ComponentTypeRef::Type(_));
                    if self.is_outermost() && !is_type {
                        self.outline.imports.push(import.name.name.to_owned());
                    }
                }
                Ok(())
            }
            Payload::ComponentExportSection(exports) => {
                self.exports(exports.count())?;
                for export in exports {
                    let export = export?;
                    let is_type = export.kind == ComponentExternalKind::Type;
                    if self.is_outermost() && !is_type {
                        self.outline.exports.push(export.name.name.to_owned());
                    }
                    // An export adds the component to the index space again.
                    if export.kind == ComponentExternalKind::Component {
                        self.add_component(self.cost(0, export.index))?;
                    }
                }
                Ok(())
            }
            Payload::ComponentAliasSection(aliases) => {
                for alias in aliases {
                    self.alias(&alias?)?;
                }
                Ok(())
            }
            Payload::InstanceSection(instances) => {
                for instance in instances {
                    if let Instance::Instantiate { .. } = instance? {
                        self.instantiate(1)?;
                    }
                }
                Ok(())
            }
            Payload::ComponentInstanceSection(instances) => {
                for instance in instances {
                    if let ComponentInstance::Instantiate { component_index, .. } = instance? {
                        let created = self.cost(0, component_index);
                        self.instantiate(created)?;
                    }
                }
                Ok(())
            }
            // Everything else is limited by the file's size or by the compiler.
            _ => Ok(()),
        }
    }

    /// Whether the part that is being read is the file's own, not one within it.
    fn is_outermost(&self) -> bool {
        self.open.len() == 1
    }

    /// Adds a component to the index space of the innermost part.
    fn add_component(&mut self, cost: usize) -> Result<(), StructureError> {
        let Some(part) = self.open.last_mut() else { return Ok(()) };
        part.components.push(cost);
        within("components that one can name", part.components.len(), PARTS)
    }

    /// Instances that one instance of the component at `index` creates, in the index space that many levels further out.
    /// 0 for an index that does not exist: the compiler refuses it.
    fn cost(&self, levels_out: u32, index: u32) -> usize {
        let levels_out = usize::try_from(levels_out).unwrap_or(usize::MAX);
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let part = self.open.iter().rev().nth(levels_out);
        part.and_then(|part| part.components.get(index)).copied().unwrap_or(0)
    }

    fn alias(&mut self, alias: &ComponentAlias<'_>) -> Result<(), StructureError> {
        match *alias {
            ComponentAlias::Outer { kind: ComponentOuterAliasKind::Component, count, index } => {
                self.add_component(self.cost(count, index))
            }
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Component, .. } => {
                handed_over()
            }
            ComponentAlias::Outer { .. }
            | ComponentAlias::InstanceExport { .. }
            | ComponentAlias::CoreInstanceExport { .. } => Ok(()),
        }
    }

    fn instantiate(&mut self, created: usize) -> Result<(), StructureError> {
        let Some(part) = self.open.last_mut() else { return Ok(()) };
        add(&mut part.instances, created, "instances", INSTANCES)
    }

    /// Reads component types without recursion: `open` holds the type that is being read and those around it.
    fn component_types(
        &mut self,
        reader: &mut BinaryReader<'_>,
        count: u32,
    ) -> Result<(), StructureError> {
        let mut open = vec![(Within::Section, count)];
        while let Some((within_what, left)) = open.last_mut() {
            let Some(fewer) = left.checked_sub(1) else {
                open.pop();
                continue;
            };
            *left = fewer;
            if !begins_type(reader, *within_what)? {
                self.declaration(reader, *within_what)?;
                continue;
            }
            self.types(1)?;
            let nested = match peek(reader)? {
                0x41 => Within::Component,
                0x42 => Within::Instance,
                _ => {
                    reader.read::<ComponentType<'_>>()?;
                    continue;
                }
            };
            reader.read_u8()?;
            open.push((nested, reader.read_var_u32()?));
            // The section itself is not a level.
            within("levels of types within types", open.len() - 1, TYPE_LEVELS)?;
        }
        Ok(())
    }

    /// Reads a declaration other than a type.
    fn declaration(
        &mut self,
        reader: &mut BinaryReader<'_>,
        of: Within,
    ) -> Result<(), StructureError> {
        let core = match of {
            Within::Component => match reader.read::<ComponentTypeDeclaration<'_>>()? {
                ComponentTypeDeclaration::CoreType(core) => core,
                ComponentTypeDeclaration::Import(_) => return self.imports(1),
                ComponentTypeDeclaration::Export { .. } => return self.exports(1),
                ComponentTypeDeclaration::Alias(_) | ComponentTypeDeclaration::Type(_) => {
                    return Ok(());
                }
            },
            Within::Section | Within::Instance => {
                match reader.read::<InstanceTypeDeclaration<'_>>()? {
                    InstanceTypeDeclaration::CoreType(core) => core,
                    InstanceTypeDeclaration::Export { .. } => return self.exports(1),
                    InstanceTypeDeclaration::Alias(_) | InstanceTypeDeclaration::Type(_) => {
                        return Ok(());
                    }
                }
            }
        };
        self.types(1)?;
        self.core_type(&core)
    }

    /// Counts what a module type declares; a recursion group counts its types.
    fn core_type(&mut self, core: &CoreType<'_>) -> Result<(), StructureError> {
        let declared = match core {
            CoreType::Rec(group) => group.types().len(),
            CoreType::Module(declarations) => declarations.len(),
        };
        add(&mut self.types, declared, "type definitions", TYPES)
    }

    fn types(&mut self, more: u32) -> Result<(), StructureError> {
        add(&mut self.types, size(more), "type definitions", TYPES)
    }

    fn imports(&mut self, more: u32) -> Result<(), StructureError> {
        add(&mut self.imports, size(more), "imports", NAMES)
    }

    fn exports(&mut self, more: u32) -> Result<(), StructureError> {
        add(&mut self.exports, size(more), "exports", NAMES)
    }
}

/// What contains the next item.
#[derive(Clone, Copy)]
enum Within {
    /// A type section.
    Section,
    Component,
    Instance,
}

/// Whether the next item is a type. Reads that byte.
fn begins_type(reader: &mut BinaryReader<'_>, within: Within) -> Result<bool, StructureError> {
    match within {
        Within::Section => Ok(true),
        Within::Component | Within::Instance => {
            let is_type = peek(reader)? == 0x01;
            if is_type {
                reader.read_u8()?;
            }
            Ok(is_type)
        }
    }
}

fn peek(reader: &BinaryReader<'_>) -> Result<u8, StructureError> {
    Ok(reader.clone().read_u8()?)
}

fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn add(
    count: &mut usize,
    more: usize,
    what: &'static str,
    limit: usize,
) -> Result<(), StructureError> {
    *count = count.saturating_add(more);
    within(what, *count, limit)
}

fn within(what: &'static str, count: usize, limit: usize) -> Result<(), StructureError> {
    if count > limit { Err(StructureError::TooMany { what, limit }) } else { Ok(()) }
}

/// A component that is passed as an argument: how many instances it creates is unknown.
fn handed_over() -> Result<(), StructureError> {
    Err(StructureError::TooMany { what: "components handed to components", limit: 0 })
}

#[cfg(test)]
mod tests;
