"""Reads untrusted YAML by the rules of YAML 1.2, with bounds, and with one message for each fault.

PyYAML's parser gives the events; this module builds the tree. PyYAML's constructors are not used,
because they read YAML 1.1, in which `OFF` is false, `12:00:00` a number of seconds and `1e-2` a
text; they also recurse, and follow aliases however large the tree becomes. Native settings, which
only the scheduler understands, are kept as the text of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from schedlab.config.messages import fault, shown, together
from schedlab.config.yaml_scalars import Ambiguous, means_nothing, plain_value
from schedlab.config.yaml_text import text_of
from schedlab.errors import SchedlabError
from schedlab.printing import brief

DEEPEST = 32
"""Largest depth of mappings and lists within one another."""
MOST = 50_000
"""Largest number of keys and values; what an alias repeats counts each time."""
LONGEST = 4_096
"""Largest number of characters of one value."""

Place = tuple[str | int, ...]

_REMEDY = "correct the YAML there"


@dataclass
class _Scalar:
    text: str
    plain: bool
    line: int


@dataclass
class _List:
    line: int
    items: list[_Node] = field(default_factory=list)


@dataclass
class _Mapping:
    line: int
    entries: list[tuple[_Scalar, _Node]] = field(default_factory=list)


_Node = _Scalar | _List | _Mapping


@dataclass(frozen=True)
class Document:
    """A mapping that was read, and the lines of its keys and values.

    Parameters
    ----------
    data : dict
        Mappings, lists, text, numbers, truth values and null.
    lines : dict
        Path of keys and positions -> line of its value, from 1.
    """

    data: dict[str, Any]
    lines: dict[Place, int]

    def line(self, place: Place) -> int | None:
        """Line of a place, or of the nearest enclosing place; None for the whole file."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place)


def read_yaml(path: Path, native: Callable[[Place], bool]) -> Document:
    """Read a file that holds one mapping.

    Parameters
    ----------
    path : pathlib.Path
        A regular file (`schedlab.config.yaml_text`).
    native : callable
        Whether values below a path of keys are kept as the text of the file.

    Raises
    ------
    SchedlabError
        When anything is wrong with the file; names file, line, key, value and remedy.
    """
    name = brief(str(path), 1000)
    text = text_of(path)
    node = _composed(text, name)
    if not isinstance(node, _Mapping):
        raise SchedlabError(
            f"{name}: holds no mapping of keys to values",
            remedy="start from config/experiments.yaml",
        )
    reader = _Values(str(path), native)
    data = reader.value(node, (), "", keep=False)
    if reader.faults:
        raise SchedlabError(together(reader.faults))  # each with its remedy
    return Document(data, reader.lines)


@dataclass
class _Frame:
    """A mapping or list whose end has not been read yet."""

    node: _List | _Mapping
    anchor: str | None
    before: int
    key: _Scalar | None = None
    height: int = 1


def _composed(text: str, name: str) -> _Node | None:
    """Return the tree of the only document; aliases share nodes, whose size is counted first."""
    try:
        return _Composer(text, name).run()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{name}:{mark.line + 1}" if mark else name
        what = getattr(error, "problem", None) or str(error)
        lines = text.split("\n")
        words = lines[mark.line].strip() if mark and mark.line < len(lines) else ""
        remedy = "indent with blanks, not with tabs" if r"'\t'" in what else _REMEDY
        raise SchedlabError(
            f"{place}: {brief(words)}: {brief(what, 200)}", remedy=remedy
        ) from error
    except (ValueError, OverflowError) as error:
        # A version or an escape whose number is out of range.
        raise SchedlabError(
            f"{name}: holds a number outside YAML's range: {brief(str(error))}", remedy=_REMEDY
        ) from error


class _Composer:
    """Builds the tree from the events, without recursion."""

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self.lines = text.split("\n")
        self.events = yaml.parse(text, Loader=yaml.SafeLoader)
        self.stack: list[_Frame] = []
        self.count = 0
        self.root: _Node | None = None
        self.documents = 0
        # Anchor -> its node, the number of keys and values in the node, and the node's height.
        self.anchors: dict[str, tuple[_Node, int, int]] = {}

    def run(self) -> _Node | None:
        for event in self.events:
            line = event.start_mark.line + 1 if event.start_mark else 1
            if isinstance(event, yaml.DocumentStartEvent):
                self._document(event, line)
            elif isinstance(event, yaml.AliasEvent):
                self._alias(str(event.anchor), line)
            elif isinstance(event, yaml.ScalarEvent):
                self._no_tag(event.tag, line)
                scalar = _Scalar(event.value, bool(event.implicit[0]), line)
                self._counted(1, line)
                if len(scalar.text) > LONGEST:
                    raise self._refusal(
                        line, f"{len(scalar.text)} characters, more than {LONGEST}", "shorten it"
                    )
                if event.anchor:
                    self.anchors[event.anchor] = (scalar, 1, 0)
                self._put(scalar, 0)
            elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                self._opened(event, line)
            elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
                frame = self.stack.pop()
                if frame.anchor:
                    size = self.count - frame.before
                    self.anchors[frame.anchor] = (frame.node, size, frame.height)
                self._put(frame.node, frame.height)
        return self.root

    def _refusal(self, line: int, what: str, remedy: str) -> SchedlabError:
        words = self.lines[line - 1].strip() if line <= len(self.lines) else ""
        key = next((f"{brief(f.key.text)}: " for f in self.stack[::-1] if f.key), "")
        return SchedlabError(f"{self.name}:{line}: {key}{brief(words)}: {what}", remedy=remedy)

    def _document(self, event: Any, line: int) -> None:
        self.documents += 1
        if self.documents > 1:
            raise self._refusal(line, "a second document begins", "keep one document a file")
        if event.version not in (None, (1, 2)):
            raise self._refusal(line, "declares another version than YAML 1.2", "remove %YAML")

    def _no_tag(self, tag: str | None, line: int) -> None:
        if tag is not None:
            raise self._refusal(
                line, f"the tag {brief(tag)} is not allowed", "remove it; put text in quotes"
            )

    def _counted(self, number: int, line: int) -> None:
        self.count += number
        if self.count > MOST:
            raise self._refusal(
                line,
                f"more than {MOST} keys and values, counting what aliases repeat",
                "write fewer, or remove the aliases",
            )

    def _deep(self, height: int, line: int) -> None:
        if len(self.stack) + height > DEEPEST:
            raise self._refusal(
                line, f"more than {DEEPEST} mappings and lists within one another", _REMEDY
            )

    def _opened(self, event: Any, line: int) -> None:
        self._no_tag(event.tag, line)
        if self.stack and isinstance(self.stack[-1].node, _Mapping) and not self.stack[-1].key:
            raise self._refusal(
                line, "a list or mapping cannot be a key", "write a word as the key"
            )
        self._deep(1, line)
        self._counted(1, line)
        # An alias within its own anchor's node would repeat for ever.
        self.anchors.pop(event.anchor, None)
        node = _Mapping(line) if isinstance(event, yaml.MappingStartEvent) else _List(line)
        self.stack.append(_Frame(node, event.anchor, self.count - 1))

    def _alias(self, anchor: str, line: int) -> None:
        if anchor not in self.anchors:
            raise self._refusal(
                line, f"no anchor &{brief(anchor)} precedes the alias *{brief(anchor)}", _REMEDY
            )
        node, size, height = self.anchors[anchor]
        if self.stack and isinstance(self.stack[-1].node, _Mapping) and not self.stack[-1].key:
            raise self._refusal(line, "an alias cannot be a key", "write the key out")
        self._deep(height, line)
        self._counted(size, line)
        self._put(node, height)

    def _put(self, node: _Node, height: int) -> None:
        if not self.stack:
            self.root = node
            return
        frame = self.stack[-1]
        frame.height = max(frame.height, height + 1)
        if isinstance(frame.node, _List):
            frame.node.items.append(node)
        elif frame.key is None:
            assert isinstance(node, _Scalar)  # a list or mapping as key is refused at its start
            frame.key = node
        else:
            frame.node.entries.append((frame.key, node))
            frame.key = None


class _Values:
    """Turns the tree, whose depth is bounded, into data; collects lines and faults."""

    def __init__(self, file: str, native: Callable[[Place], bool]) -> None:
        self.file = file
        self.native = native
        self.lines: dict[Place, int] = {}
        self.faults: list[str] = []

    def value(self, node: _Node, place: Place, key: str, *, keep: bool) -> Any:
        keep = keep or self.native(place)
        if isinstance(node, _Scalar):
            return self._scalar(node, key, keep)
        if isinstance(node, _List):
            found = []
            for index, item in enumerate(node.items):
                self.lines[*place, index] = item.line
                found.append(self.value(item, (*place, index), f"{key}[{index}]", keep=keep))
            return found
        return {
            name.text: self.value(
                entry,
                (*place, name.text),
                f"{key}.{name.text}" if key else name.text,
                keep=keep,
            )
            for name, entry in self._entries(node, place, keep)
        }

    def _entries(self, node: _Mapping, place: Place, keep: bool) -> Iterator[tuple[_Scalar, _Node]]:
        seen: dict[str, tuple[_Scalar, _Node]] = {}
        for name, entry in node.entries:
            # Schedulers ignore case in the names of their settings.
            spelling = name.text.casefold() if keep else name.text
            if name.plain and name.text == "<<":
                self._fault(name, "<<", "merge keys are not supported", "write the keys out")
            elif not name.text:
                self._fault(name, "''", "an empty key", "write the key before the colon")
            elif not name.text.isprintable():
                self._fault(name, name.text, "control characters in a key", "remove them")
            elif spelling in seen:
                first, value = seen[spelling]
                self.faults.append(
                    f"{brief(self.file, 1000)}:{name.line}: key {shown(name.text)} is written "
                    f"twice: {_words(entry)}, and {_words(value)} in line {first.line}. "
                    "Remedy: remove one of them"
                )
            else:
                seen[spelling] = (name, entry)
                self.lines[*place, name.text] = name.line
                yield name, entry

    def _scalar(self, node: _Scalar, key: str, keep: bool) -> Any:
        if not node.text.isprintable():
            bad = next(letter for letter in node.text if not letter.isprintable())
            self._fault(
                node,
                key,
                f"holds the character U+{ord(bad):04X}, which ends a line or is not shown",
                "write visible characters on one line",
            )
        elif node.plain and not keep:
            try:
                return plain_value(node.text)
            except Ambiguous as error:
                self._fault(node, key, error.what, error.remedy)
        elif node.plain and node.text and means_nothing(node.text):
            # Nothing is not a value of a setting; the scheduler would get the word.
            self._fault(
                node,
                key,
                "means no value, and a setting has one",
                f"leave the key out for the default, or write '{node.text}' if the scheduler is to"
                " get that word",
            )
        return node.text

    def _fault(self, node: _Scalar, key: str, what: str, remedy: str) -> None:
        self.faults.append(fault(self.file, node.line, key, node.text, what, remedy))


def _words(node: _Node) -> str:
    return shown(node.text) if isinstance(node, _Scalar) else "a list or mapping"
