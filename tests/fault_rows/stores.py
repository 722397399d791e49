"""Rows of the fault table: verify and inspect."""

from tests.fault_rows.of_data import CHANGED, STORE_FILES, stamp_kept
from tests.faults import (
    ascii_output,
    change,
    cut,
    flip,
    full_disk,
    link,
    make,
    mode,
    no_reader,
    ordinary_user,
    pipe,
    remove,
    row,
    write,
)

ROWS = (
    row(
        "verify nothing",
        "verify nowhere",
        "nowhere: expected a prepared store (a folder with manifest.json), found nothing",
    ),
    row(
        "verify a file",
        "verify tiny.yaml",
        "tiny.yaml: expected a prepared store (a folder with manifest.json), found a file",
    ),
    row(
        "verify a dataset",
        "verify data",
        "data: expected a prepared store (a folder with manifest.json), found a folder without one",
    ),
    row(
        "verify a run",
        "verify RUN",
        "runs/tiny/base/seed_0: expected a prepared store (a folder with manifest.json), found a folder without one",
    ),
    *(
        row(f"verify {name}, a bit flipped", "verify store", CHANGED.format(name), flip(f"store/{name}"))
        for name in STORE_FILES
    ),
    *(
        row(
            f"verify {name}, a bit flipped at its old time",
            "verify store",
            CHANGED.format(name),
            stamp_kept(f"store/{name}", flip(f"store/{name}")),
        )
        for name in STORE_FILES[:3]
    ),
    *(
        row(f"inspect without {name}", "inspect store", f"store...{name}...", remove(f"store/{name}"))
        for name in STORE_FILES[:3]
    ),
    *(
        row(f"inspect {name} cut off", "inspect store", f"store...{name}...", cut(f"store/{name}"))
        for name in STORE_FILES[:3]
    ),
    row(
        "verify an array that is a pipe",
        "verify store",
        "store/photos.npy: expected 295040 bytes, found no such file; prepare the store again",
        pipe("store/photos.npy"),
    ),
    row(
        "verify an array that is a folder",
        "verify store",
        "store/photos.npy: expected 295040 bytes, found no such file; prepare the store again",
        remove("store/photos.npy"),
        make("store/photos.npy"),
    ),
    row(
        "verify an array that is another file",
        "verify store",
        "store/photos.npy: expected an array, found another kind of file; prepare the store again",
        write("store/photos.npy", "x" * 295_040),
    ),
    row(
        "verify an array without permission",
        "verify store",
        "store/photos.npy: expected to read or write it, found: Permission denied",
        mode("store/photos.npy", 0),
        inside=ordinary_user,
        code=1,
    ),
    row(
        "verify a manifest cut off",
        "verify store",
        "store/manifest.json: expected the manifest of a store, found ...",
        cut("store/manifest.json"),
    ),
    row(
        "verify a manifest that is empty",
        "verify store",
        "store/manifest.json: expected the manifest of a store, found ...",
        write("store/manifest.json", ""),
    ),
    row(
        "verify a manifest that is a list",
        "verify store",
        "store/manifest.json: expected format 'semantic-store', found another kind of file",
        write("store/manifest.json", "[]"),
    ),
    row(
        "verify a manifest that is binary",
        "verify store",
        "store/manifest.json: expected the manifest of a store, found ...",
        write("store/manifest.json", bytes(range(256))),
    ),
    row(
        "verify a manifest too deep",
        "verify store",
        "store/manifest.json: expected the manifest of a store, found ...",
        write("store/manifest.json", "[" * 100_000),
    ),
    row(
        "verify a manifest that is a pipe",
        "verify store",
        "store: expected a prepared store (a folder with manifest.json), found a folder without one",
        pipe("store/manifest.json"),
    ),
    row(
        "verify a manifest of another format",
        "verify store",
        "store/manifest.json: expected format 'semantic-store', found another kind of file",
        change("store/manifest.json", lambda m: m.update(format="x")),
    ),
    row(
        "verify a manifest of another version",
        "verify store",
        "store/manifest.json: expected store version 2, found 99; prepare it again",
        change("store/manifest.json", lambda m: m.update(version=99)),
    ),
    row(
        "verify a manifest with another count",
        "verify store",
        "store/manifest.json: expected the manifest that was written, found one changed since; prepare the store again",
        change("store/manifest.json", lambda m: m["splits"]["train"].update(examples=9)),
    ),
    row(
        "verify a manifest without checksums",
        "verify store",
        "store/manifest.json: expected format 'semantic-store', found another kind of file",
        change("store/manifest.json", lambda m: m.pop("checksums")),
    ),
    row(
        "verify a manifest with checksums of words",
        "verify store",
        "store/manifest.json: expected the manifest that was written, found one changed since; prepare the store again",
        change("store/manifest.json", lambda m: m.update(checksums="x")),
    ),
    row(
        "verify a manifest without splits",
        "verify store",
        "store/manifest.json: expected format 'semantic-store', found another kind of file",
        change("store/manifest.json", lambda m: m.pop("splits")),
    ),
    row(
        "verify a manifest with another slot",
        "verify store",
        "store/manifest.json: expected the manifest that was written, found one changed since; prepare the store again",
        change("store/manifest.json", lambda m: m["slots"].append("hue")),
    ),
    row(
        "verify a manifest with a path outside",
        "verify store",
        "store/manifest.json: expected the manifest that was written, found one changed since; prepare the store again",
        change("store/manifest.json", lambda m: m["checksums"].update({"../tiny.yaml": "0"})),
    ),
    row("verify a store with an own file", "verify store", "", write("store/notes.txt", "x"), code=0),
    row("verify, closed pipe", "verify store", "", inside=no_reader, code=141),
    row("verify a store that may only be read", "verify store", "", mode("store", 0o500), inside=ordinary_user, code=0),
    row(
        "inspect nothing",
        "inspect nowhere",
        "nowhere: expected a prepared store (a folder with manifest.json), found nothing",
    ),
    row(
        "inspect a dialogue that is not there",
        "inspect store --dialogue 999",
        "store: expected a dialogue row below 11, found 999",
    ),
    row(
        "inspect a negative dialogue",
        "inspect store --dialogue -1",
        "store: expected a dialogue row below 11, found -1",
    ),
    row("inspect a dialogue without examples", "inspect store --dialogue 10", "", code=0, new=("store/inspect.html",)),
    row("inspect a dialogue by a word", "inspect store --dialogue first", "Invalid value for '--dialogue': ..."),
    row("inspect with a negative seed", "inspect store --seed -1", "Invalid value for '--seed': ..."),
    row(
        "inspect onto the configuration",
        "inspect store --out tiny.yaml",
        "tiny.yaml: expected no file there or a page that semantic wrote, found something else; give another name",
    ),
    row(
        "inspect onto the manifest",
        "inspect store --out store/manifest.json",
        "store/manifest.json: expected no file there or a page that semantic wrote, found something else; give another name",
    ),
    row(
        "inspect onto an array",
        "inspect store --out store/photos.npy",
        "store/photos.npy: expected no file there or a page that semantic wrote, found something else; give another name",
    ),
    row(
        "inspect onto an own page",
        "inspect store --out own.html",
        "own.html: expected no file there or a page that semantic wrote, found something else; give another name",
        write("own.html", "<html>mine</html>"),
    ),
    row(
        "inspect onto an own page of its default name",
        "inspect store",
        "store/inspect.html: expected no file there or a page that semantic wrote, found something else; give another name",
        write("store/inspect.html", "<html>mine</html>"),
    ),
    row(
        "inspect onto a folder",
        "inspect store --out data",
        "data: expected no file there or a page that semantic wrote, found something else; give another name",
    ),
    row(
        "inspect below a file",
        "inspect store --out tiny.yaml/page.html",
        "...tiny.yaml: expected to read or write it, found: Not a directory",
    ),
    row(
        "inspect onto a link to an own file",
        "inspect store --out page.html",
        "page.html: expected no file there or a page that semantic wrote, found something else; give another name",
        link("page.html", "tiny.yaml"),
    ),
    row(
        "inspect a store that may only be read",
        "inspect store",
        "...store/.inspect.html.lock: expected to read or write it, found: Permission denied",
        mode("store", 0o500),
        inside=ordinary_user,
        code=1,
    ),
    row(
        "inspect on a full disk",
        "inspect store",
        "...store/.inspect.html.lock: expected room to write, found the disk full",
        inside=full_disk(1),
        code=1,
    ),
    row(
        "inspect onto a full device",
        "inspect store --out /dev/full",
        "/dev/full: expected no file there or a page that semantic wrote, found something else; give another name",
    ),
    row("inspect, closed pipe", "inspect store", "", inside=no_reader, code=141),
    row("inspect, ASCII-only terminal", "inspect store", "", inside=ascii_output, code=0, new=("store/inspect.html",)),
    row(
        "inspect into an empty own file",
        "inspect store --out page.html",
        "page.html: expected no file there or a page that semantic wrote, found something else; give another name",
        write("page.html", ""),
    ),
)
