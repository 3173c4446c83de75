"""Groups: photos that must stay together, because they show the same part or are the same photo."""

from collections.abc import Iterable
from dataclasses import replace

from training.data.samples import Sample


def join_groups(samples: Iterable[Sample]) -> list[Sample]:
    """Give every photo the group it belongs to once equal photos have joined their groups.

    A joined group is named after the first of the declared names in it, or after the photos' digest if
    none was declared. Joining again changes nothing.
    """
    samples = list(samples)
    parent: dict[str, str] = {}

    def find(key: str) -> str:
        root = key
        while (above := parent.setdefault(root, root)) != root:
            root = above
        while parent[key] != root:
            parent[key], key = root, parent[key]
        return root

    for sample in samples:
        content = find(_content(sample))
        if sample.group:
            parent[content] = find(f"group:{sample.group}")
    names: dict[str, str] = {}
    for sample in samples:
        name, root = sample.group, find(_content(sample))
        if name:
            names[root] = min(name, names.get(root, name))
    return [replace(s, group=names.get(find(_content(s)), s.content)) for s in samples]


def _content(sample: Sample) -> str:
    return f"content:{sample.content}"
