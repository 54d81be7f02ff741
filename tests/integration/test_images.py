"""Images that go with a prompt: read by the workers, anew for each retry."""

from __future__ import annotations

import json

from conftest import Simulate
from integration.conftest import MakePlace

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 100


def test_every_row_is_asked_with_its_image_or_is_a_dead_letter_that_names_it(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(0), simulate(error_500=0.2)
    media = run.folder / "media"
    media.mkdir()
    rows = [{"text": f"row {row}", "image": f"{row}.png"} for row in range(60)]
    rows[7]["image"], rows[8]["image"] = "../in.jsonl", "https://127.0.0.1:9/never-fetched.png"
    for row in range(60):
        if row % 20 != 19:
            (media / f"{row}.png").write_bytes(PNG)
    run.input.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ended = run.run(provider.base_url, image="image", media_dir=media, max_attempts=50)
    assert ended.code == 3, ended.stderr
    results = run.results()
    letters = {
        one["_penstock"]["row"]: one["_penstock"]["error_message"] for one in run.dead_letters()
    }
    assert sorted(letters) == [7, 19, 39, 59]
    assert "is outside" in letters[7]
    assert "in.jsonl:20: column 'image': 19.png: No such file" in letters[19]
    for row, one in enumerate(results):
        if row not in letters:
            assert one["output"].startswith(f"echo: row {row}")
    assert ended.summary["retries"] > 3
    hashes = {one["request_hash"] for one in results if one["request_hash"]}
    assert len(hashes) == 56
