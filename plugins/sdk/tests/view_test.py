"""Views and tasks of the library for Python: `python3 -m unittest discover -s tests -p '*_test.py'` in plugins/sdk."""

import random
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "python"))

from freefans_plugin import Fatal, Host, Plugin, View, ViewError, ask, link


def deep(levels):
    return {} if levels == 1 else {"in": deep(levels - 1)}


class ViewTest(unittest.TestCase):
    def refused(self, rule, make):
        with self.assertRaises(ViewError) as raised:
            make()
        self.assertIn(rule, str(raised.exception))

    def test_all_parts_are_as_the_contract_has_them(self):
        view = (
            View("Hello")
            .item("One", url="https://c.example/1", text="more")
            .photo("https://c.example/1.jpg", "A picture")
            .row(ask("Again", "roll", {"dice": "2d6"}), link("Page", "https://c.example"))
            .next("roll", {"page": 2})
        )
        expected = {
            "version": 1,
            "text": "Hello",
            "items": [{"title": "One", "url": "https://c.example/1", "text": "more"}],
            "media": [{"type": "photo", "url": "https://c.example/1.jpg", "caption": "A picture"}],
            "buttons": [
                [
                    {"text": "Again", "task_type": "roll", "params": {"dice": "2d6"}},
                    {"text": "Page", "url": "https://c.example"},
                ]
            ],
            "next": {"task_type": "roll", "params": {"page": 2}},
        }
        self.assertEqual(view.build(), expected)

    def test_long_texts_are_cut(self):
        view = View("ü" * 16_001).item("x" * 121, text="y" * 301).row(ask("z" * 49, "roll")).build()
        self.assertEqual((len(view["text"]), view["text"][-1]), (16_000, "…"))
        self.assertEqual([len(view["items"][0][part]) for part in ("title", "text")], [120, 300])
        self.assertEqual(len(view["buttons"][0][0]["text"]), 48)
        self.assertLessEqual(len(View("🌊" * 16_000).build()["text"].encode()), 32 << 10)

    def test_what_breaks_a_rule_is_told_with_the_limit(self):
        def repeated(count, add):
            view = View("x")
            for _ in range(count):
                add(view)
            return view.build()

        button = ask("x", "roll")
        self.refused("at most 50 items", lambda: repeated(51, lambda view: view.item("x")))
        self.refused("at most 10 media", lambda: repeated(11, lambda view: view.video("http://c.example")))
        self.refused("at most 8 rows", lambda: repeated(9, lambda view: view.row(button)))
        self.refused("at most 24 buttons", lambda: repeated(7, lambda view: view.row(*[button] * 4)))
        self.refused("1 to 4 buttons", lambda: View("x").row(*[button] * 5))
        self.refused("http or https", lambda: link("x", "ftp://c.example"))
        self.refused("at most 2048 bytes", lambda: link("x", "https://c.example/" + "x" * 2048))
        self.refused("no task type", lambda: ask("x", "Roll"))
        self.refused("2048 bytes and 32 levels", lambda: ask("x", "roll", {"x": "y" * 2048}))
        self.refused("32 levels", lambda: ask("x", "roll", deep(33)))
        self.refused("is empty", lambda: View("x").item(" "))
        self.refused("needs text", lambda: View(" ").build())
        long = "https://c.example/" + "x" * 1500
        self.refused("at most 49152 bytes", lambda: repeated(40, lambda view: view.item("x", url=long)))
        self.assertEqual(ask("x", "roll", deep(32))["params"], deep(32))

    def test_each_task_has_its_own_random_numbers(self):
        plugin = Plugin("dice", "1.0.0")
        plugin.task("roll", "Rolls.", {"type": "object"})(lambda params, task: random.random())
        rolled = [plugin.answer("roll", {}, seed=seed) for seed in (1, 2, 1)]
        self.assertNotEqual(rolled[0], rolled[1])
        self.assertEqual(rolled[0], rolled[2])

    def test_a_test_has_a_host_in_memory(self):
        plugin = Plugin("dice", "1.0.0")

        @plugin.task("count", "Counts.", {"type": "object"})
        def count(params, task):
            before = int(task.cache_get("n") or b"0")
            task.cache_set("n", str(before + 1).encode(), 60)
            task.log("counted")
            return {"n": before, "unit": task.config("unit", "times"), "rows": task.data("rows").decode()}

        host = Host(config={"unit": "x"}, data={"rows": b"12"})
        self.assertEqual(plugin.answer("count", {}, host), {"n": 0, "unit": "x", "rows": "12"})
        self.assertEqual(plugin.answer("count", {}, host)["n"], 1)
        self.assertEqual(host.lines, [("info", "counted")] * 2)
        with self.assertRaisesRegex(Fatal, r"`rows`: add it to \[grants.data\]"):
            plugin.answer("count", {})

    def test_an_answer_that_is_no_json_is_found_in_a_test(self):
        plugin = Plugin("dice", "1.0.0")
        plugin.task("roll", "Rolls.", {"type": "object"})(lambda params, task: {"x": float("nan")})
        with self.assertRaises(ValueError):
            plugin.answer("roll", {})


if __name__ == "__main__":
    unittest.main()
