"""Haiku by construction: 5-7-5 where the syllables of the thing and of the colour are known."""

import zlib

from words import COLOURS, MOODS, SEASONS, THINGS, syllables

FIRST = {1: ["I think of {} now,", "Soft light falls on {},", "A small song of {},"],
         2: ["I dream of {},", "Light falls on {},", "A song of {},"],
         3: ["Think of {},", "Light on {},", "Song of {},"],
         4: ["Ah, {},", "Oh, {},", "See {},"]}
SECOND = {"fruit": ["sweet and round on every bough,", "the orchard hums in the sun,"],
          "animal": ["small feet pass without a sound,", "bright eyes watching from the dark,"],
          "sky": ["silent drifting through the night,", "slow clouds open like a door,"],
          "water": ["waves that come and waves that go,", "the tide writes upon the sand,"],
          "place": ["old stones warm beneath my hand,", "one lamp shining in the street,"],
          "plant": ["roots are drinking in the deep,", "petals open to the rain,"],
          "object": ["quiet on a wooden shelf,", "made by patient, careful hands,"],
          "food": ["steam is curling from the plate,", "warm as kitchens after rain,"],
          "idea": ["something moving in the heart,", "older than the words we know,"],
          "unknown": ["nameless as the morning mist,"]}
THIRD = {"fruit": "one bite holds the sun.", "animal": "gone before I wake.", "sky": "the world holds its breath.",
         "water": "salt upon the wind.", "place": "someone has come home.", "plant": "the bees know the way.",
         "object": "time sits down with it.", "food": "come and eat, my friend.", "idea": "I have no more words.",
         "unknown": "the world holds its breath."}
COLOUR = {1: ["and {} light lies on the hills;", "one {} leaf falls on my hand;"],
          2: ["and {} light on the hills;", "one {} leaf on my hand;"],
          3: ["soft {} light on hills;", "one {} leaf in hand;"],
          4: ["soft {} light here;", "one {} leaf here;"]}
SEASON_LAST = {1: "this is {} at last.", 2: "now {} is here."}
SEASON_MIDDLE = {1: "and {} is in the air now,", 2: "and {} is in the air,"}
MOOD = {1: "and my heart is {}.", 2: "my heart is {}.", 3: "my heart, {}.", 4: "so {}."}
MANNER = {"pirate": "arr, the sea is mine!", "cheerful": "oh, what joy this is!", "robot": "beep, the sum is one.",
          "royal": "the crown bows its head.", "wizard": "by my beard, a spell!", "cowboy": "ride on, my partner.",
          "grumpy": "hmph, leave me alone.", "sleepy": "yawn, I close my eyes.", "shy": "um, I hope you smile.",
          "formal": "I remain, yours, sir."}


def count(phrase):
    """Syllables of a phrase: known things and colours exactly, others roughly."""
    known = THINGS.get(phrase, (0,))[0] or COLOURS.get(phrase, 0) or SEASONS.get(phrase, 0) or MOODS.get(phrase, 0)
    return known or sum(syllables(w) for w in phrase.split())


def haiku(thing, colour=None, season=None, mood=None, manner=None, n=None):
    """Three lines about the thing. n: the thing's syllables where the writer knows them."""
    category = THINGS.get(thing, (0, "unknown"))[1]
    pick = zlib.crc32(thing.encode()) if thing in THINGS else 0  # what is unseen cannot be told apart
    n = min(n or count(thing), 4)
    first = FIRST[n][pick % 3].format(thing)
    if colour:
        second = COLOUR[min(count(colour), 4)][pick // 3 % 2].format(colour)
    elif season and mood:
        second = SEASON_MIDDLE[count(season)].format(season)
    else:
        second = SECOND[category][pick // 3 % len(SECOND[category])]
    if mood:
        third = MOOD[min(count(mood), 4)].format(mood)
    elif season:
        third = SEASON_LAST[count(season)].format(season)
    else:
        third = MANNER.get(manner, THIRD[category])
    return "\n".join((first, second, third))
