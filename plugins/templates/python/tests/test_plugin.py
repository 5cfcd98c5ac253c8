"""Run by `./build test`, without a worker."""

import sys
import unittest
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent / "sdk"), str(Path(__file__).parent.parent)]

from freefans_plugin import Invalid
from plugin import plugin


def ask(seed=7, **params):
    return plugin.answer("PLUGIN_TYPE", params, seed=seed)


class PluginTest(unittest.TestCase):
    def test_one_word_is_chosen(self):
        expected = {
            "words": ["tea"],
            "chosen": "tea",
            "view": {
                "version": 1,
                "text": "**PLUGIN_TITLE** chooses **tea**.",
                "items": [{"title": "tea"}],
                "buttons": [[{"text": "Again", "task_type": "PLUGIN_TYPE", "params": {"text": "tea"}}]],
            },
        }
        self.assertEqual(ask(text="tea"), expected)

    def test_chance_decides(self):
        chosen = {ask(seed)["chosen"] for seed in range(50)}
        self.assertEqual(chosen, {"heads", "tails"})

    def test_no_words_are_answered_kindly(self):
        with self.assertRaisesRegex(Invalid, "for instance"):
            ask(text=" ")

    def test_markup_is_shown_as_it_is(self):
        self.assertEqual(ask(text="a*b")["view"]["text"], "**PLUGIN_TITLE** chooses **a\\*b**.")


if __name__ == "__main__":
    unittest.main()
