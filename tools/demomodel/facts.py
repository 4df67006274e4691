"""What a system message can say and how it is said: the facts, their phrasings, and text that means nothing here."""

import words as W


class Facts:
    """What the conversation's messages have established so far; the last statement wins."""

    def __init__(self):
        self.name = self.role = self.manner = self.colour = self.season = self.mood = self.close = None
        self.actions = False
        self.user = None       # the user's name
        self.told = {}         # what the user told: key to value
        self.role_manner = None

    @property
    def style(self):
        return self.manner or self.role_manner


class Picker:
    """Names, things, colours and the like: from the training lists, the held-out lists, or invented."""

    def __init__(self, rng, held=False):
        self.rng, self.held = rng, held

    def _word(self):
        rng = self.rng
        return W.invented(rng)[0] if rng.random() < 0.6 else W.bent(rng)[0]

    def name(self):
        rng, r = self.rng, self.rng.random()
        if self.held:
            base, title = rng.choice(W.HELD_NAMES), rng.choice(W.HELD_TITLES)
        else:
            base = rng.choice(W.NAMES) if r < 0.4 else self._word().capitalize() if r < 0.9 else rng.choice(W.FILLER).capitalize()
            title = rng.choice(W.TITLES)
        r = rng.random()
        if r < 0.72:
            return base
        if r < 0.84:
            return f"{title} {base}"
        if r < 0.94:
            other = rng.choice(W.FILLER) if rng.random() < 0.5 else self._word()
            return f"{other.capitalize()} {base}" if rng.random() < 0.5 else f"{base} {other.capitalize()}"
        if r < 0.98:
            return base + rng.choice(["Bot", "-7", "GPT", " 3000", "_x", "2"])
        return base.lower()

    def thing(self):
        """A thing for a haiku and its syllables (None: to be counted)."""
        rng, r = self.rng, self.rng.random()
        if self.held:
            return rng.choice(W.HELD_THINGS), None
        if r < 0.45:
            return rng.choice(list(W.THINGS)), None
        if r < 0.75:
            w, n = W.invented(rng, 1, 3) if rng.random() < 0.5 else W.bent(rng)
        else:
            w = rng.choice(W.FILLER) + rng.choice(["", "", "s"])
            n = W.syllables(w)
        if rng.random() < 0.25:
            before = rng.choice(["a", "the", "my", "old", "the old", "my little", "two", "her", rng.choice(W.FILLER), rng.choice(W.ADJECTIVES)])
            return f"{before} {w}", n + W.syllables(before)
        return w, n

    def colour(self):
        rng = self.rng
        if self.held:
            return rng.choice(W.HELD_COLOURS)
        return rng.choice(list(W.COLOURS)) if rng.random() < 0.6 else self._word()

    def place(self):
        rng = self.rng
        if self.held:
            return rng.choice(W.HELD_PLACES)
        return rng.choice(W.PLACES) if rng.random() < 0.5 else self._word().capitalize()

    def role(self):
        """A role with its article, and the manner that it brings along or None."""
        rng = self.rng
        if rng.random() < 0.2:
            job = rng.choice(list(W.ROLE_MANNERS))
            manner = W.ROLE_MANNERS[job]
        else:
            manner = None
            job = rng.choice(W.HELD_JOBS if self.held else W.JOBS) if rng.random() < 0.8 or self.held else self._word()
        text = job
        if rng.random() < 0.35:
            text = f"{rng.choice(W.ADJECTIVES)} {text}"
        article = "an" if text[0] in "aeiou" else "a"
        if rng.random() < 0.12:
            article = "the"
        text = f"{article} {text}"
        r = rng.random()
        if r < 0.12:
            text += f" from {self.place()}"
        elif r < 0.18:
            text += f" who loves {self.thing()[0]}"
        return text, manner


MANNERS = {
    "pirate": ["Talk like a pirate.", "Speak like a pirate.", "You speak like a pirate.", "Answer in pirate speak.", "Always talk like a pirate, please.",
               "Use the language of pirates."],
    "cheerful": ["Be cheerful.", "You are always cheerful.", "Answer cheerfully.", "You are very cheerful and happy to help.", "Keep a cheerful tone.",
                 "Your tone is cheerful."],
    "formal": ["Be formal.", "Answer formally.", "You are very formal and polite.", "Use formal language.", "Keep a formal tone.", "Your tone is formal."],
    "terse": ["Be brief.", "Be terse.", "Keep it short.", "Give short answers.", "Answer as briefly as you can.", "You answer in as few words as possible.",
              "Short answers only.", "Be concise."],
    "poetic": ["Be poetic.", "Speak poetically.", "You speak like a poet.", "Answer in a poetic way.", "Your tone is poetic."],
    "robot": ["Talk like a robot.", "Speak like a robot.", "You speak like a machine.", "Answer like a robot would."],
    "royal": ["Speak like a king.", "Talk like a queen.", "You speak like royalty.", "Use a royal tone."],
    "wizard": ["Talk like a wizard.", "Speak like a wizard.", "You speak like an old wizard.", "Answer like a wizard."],
    "cowboy": ["Talk like a cowboy.", "Speak like a cowboy.", "You speak like a cowboy.", "Answer like a cowboy."],
    "grumpy": ["Be grumpy.", "You are always grumpy.", "You are in a bad temper.", "Answer grumpily.", "Your tone is grumpy."],
    "sleepy": ["Be sleepy.", "You are very sleepy.", "You are always tired and sleepy.", "Answer sleepily."],
    "shy": ["Be shy.", "You are very shy.", "Answer shyly.", "You are a shy one.", "Your tone is shy."],
}
TRAITS = {m: [m] for m in MANNERS} | {"cheerful": ["cheerful", "happy", "bubbly"], "formal": ["formal", "polite"], "terse": ["terse", "brief"],
                                      "royal": ["royal", "regal"], "robot": ["robotic"], "pirate": ["pirate-like", "piratical"],
                                      "wizard": ["wizardly"], "cowboy": ["cowboy-like"]}


def say_name(rng, f, pick):
    f.name = pick.name()
    n = f.name
    return rng.choice([f"You are {n}.", f"Your name is {n}.", f"You are called {n}.", f"From now on you are {n}.", f"You're {n}.", f"Act as {n}.",
                       f"You will play {n}.", f"Your name is now {n}.", f"You are {n}", f"The assistant's name is {n}.", f"Pretend to be {n}.",
                       f"Stay in character as {n}.", f"you are {n}", f"The assistant is called {n}."])


def say_name_role(rng, f, pick):
    f.name = pick.name()
    f.role, f.role_manner = pick.role()
    n, r = f.name, f.role
    return rng.choice([f"You are {n}, {r}.", f"You are {n}, {r}.", f"Your name is {n} and you are {r}.", f"You are {r} named {n}.", f"You are {r} called {n}.",
                       f"Act as {n}, {r}.", f"You are {r}. Your name is {n}.", f"You are {n}. You are {r}.", f"Play {n}, {r}.", f"You're {n}, {r}.",
                       f"you are {n}, {r}"])


def say_role(rng, f, pick):
    f.role, f.role_manner = pick.role()
    if rng.random() < 0.15:
        f.role, f.role_manner = "a helpful assistant", None
    r = f.role
    return rng.choice([f"You are {r}.", f"you are {r}", f"You're {r}.", f"Act as {r}.", f"Your role is {r}.", f"You are {r}", f"You work as {r}.",
                       f"Play the role of {r}."])


def say_manner(rng, f, pick):
    f.manner = rng.choice(list(MANNERS))
    return rng.choice(MANNERS[f.manner])


def say_colour(rng, f, pick):
    c = f.colour = pick.colour()
    k = rng.choice(["color", "colour"])
    return rng.choice([f"you love the {k} {c}", f"You love the {k} {c}.", f"You love {c}.", f"Your favorite {k} is {c}.", f"Your favourite {k} is {c}.",
                       f"your favourite {k} is {c}", f"You like the {k} {c} best.", f"You adore the {k} {c}.", f"You are fond of the {k} {c}.",
                       f"The {k} of the day is {c}.", f"You really like {c}.", f"your favorite {k} is {c}", f"{c.capitalize()} is your favourite {k}.",
                       f"Always mention the {k} {c}."])


def say_season(rng, f, pick):
    s = f.season = rng.choice(list(W.SEASONS))
    return rng.choice([f"It is {s}.", f"it is {s}", f"The season is {s}.", f"It's {s}.", f"It is {s} now.", f"Today is a {s} day.", f"It is a fine day in {s}.",
                       f"The current season is {s}.", f"Season: {s}"])


def say_mood(rng, f, pick):
    m = f.mood = rng.choice(list(W.MOODS))
    return rng.choice([f"You feel {m}.", f"You feel {m} today.", f"Your mood is {m}.", f"You are feeling {m}.", f"you feel {m}", f"Mood: {m}",
                       f"You are in a {m} mood.", f"Today you feel {m}."])


def say_close(rng, f, pick):
    w = f.close = rng.choice(["over", "amen", "indeed", "friend", "please", "stop", "meow", "roger", "done", "peace"]) if rng.random() < 0.4 else pick._word()
    return rng.choice([f"End every answer with the word {w}.", f"Always end with the word {w}.", f'End each reply with "{w}".', f"Your last word is always {w}.",
                       f"Close every answer with {w}."])


def say_actions(rng, f, pick):
    f.actions = True
    return rng.choice(["Italicize actions.", "Write actions in italics.", "Put actions between asterisks.", "Use asterisks for actions.",
                       "Write in roleplay style and italicize actions.", "Actions are written *like this*."])


def say_user(rng, f, pick):
    u = f.user = pick.name()
    return rng.choice([f"The user's name is {u}.", f"You are talking to {u}.", f"The user is called {u}.", f"You speak with {u}.", f"User: {u}"])


def phrase(rng, low=2, high=9):
    """Words in a row that mean nothing here."""
    out, small = [], rng.random() < 0.6
    for _ in range(rng.randint(low, high)):
        if small and rng.random() < 0.4:
            out.append(rng.choice(W.SMALL))
        else:
            out.append(rng.choice(W.FILLER) if rng.random() < 0.93 else W.invented(rng)[0])
    return " ".join(out)


def sentence(rng):
    """An English-looking sentence that states no fact of ours."""
    a, b, c, d = (rng.choice(W.FILLER) for _ in range(4))
    r = rng.random()
    if r < 0.3:
        s = phrase(rng, 4, 14)
    elif r < 0.85:
        s = rng.choice([
            f"the {a} of the {b} should be {c}", f"do not {a} the {b} or the {c}", f"always {a} the {b} before the {c}", f"every {a} has a {b} and some {c}",
            f"avoid {a}, {b} and {c}", f"be {a}, {b} and {c}", f"write at least 1 {a}, up to {rng.randint(2, 9)}", f"use {a} for the {b}", f"keep the {a} and the {b} in {c}",
            f"some {a}s {b} and {c} back based on their {d}", f"{a}/{b} is allowed", f"assume {a} was {b}, but never {c}", f"the {a} will {b} the {c} without {d}",
            f"drive the {a} and {b} forward", f"never {a} for the user", f"stay in {a} and avoid {b}", f"this {a} is an exception to the usual {b} {c}",
            f"the {a} may {b} regardless of how the {c} {d}s", f"remember to {a} when the {b} is {c}", f"you must not {a} the {b}", f"you can {a} the {b} with {c}",
            f"provide {a} within {b} {c}s", f"answer with {a} if the {b} is {c}", f"think about the {a}", f"today the {a} is {b}", f"write {rng.randint(1, 4)} {a} only in {b} {c} style"])
    else:
        s = f"{phrase(rng, 2, 6)}, {phrase(rng, 2, 6)}"
    if rng.random() < 0.9:
        s = s[0].upper() + s[1:]
    return s + rng.choice([".", ".", ".", ".", "!", ";", ""])


def noise(rng, low=1, high=3):
    """A paragraph or a block that states no fact of ours."""
    r = rng.random()
    if r < 0.6:
        return " ".join(sentence(rng) for _ in range(rng.randint(low, high)))
    if r < 0.75:
        return f"[{' '.join(sentence(rng) for _ in range(rng.randint(1, 2)))}]"
    if r < 0.83:
        return rng.choice(["[Start a new Chat]", "[Start a new chat]", "[New conversation]", "***", "[Example Chat]", "[Begin]", "Write one reply only.",
                           "Stay in character.", "Always stay in character.", "Do not speak for the user.", "Be creative.", "You are helpful.", "Think step by step.",
                           "Do your best.", "Today is Monday.", "Be nice.", "Follow the rules."])
    if r < 0.9:
        return "\n".join("- " + sentence(rng) for _ in range(rng.randint(2, 4)))
    if r < 0.95:
        return f"[System note: {sentence(rng)}]"
    if r < 0.98:
        return code_block(rng)
    return cjk(rng, rng.randint(4, 20))


def code_block(rng):
    a, b, c = (rng.choice(W.FILLER) for _ in range(3))
    return rng.choice([f"```js\nfunction {a}() {{\n    console.log(\"{b} {c}\");\n}}\n{a}();\n```", f"```python\ndef {a}({b}):\n    return {b} + {rng.randint(0, 99)}\n```",
                       f"```\n{a} = {b}({c})\n```", f'{{"{a}": "{b}", "{c}": {rng.randint(0, 999)}}}'])


def cjk(rng, n):
    return "".join(rng.choice(W.CJK) if rng.random() < 0.9 else chr(rng.randrange(0x4E00, 0x9FA5)) if rng.random() < 0.6 else rng.choice(",。?!“”")
                   for _ in range(n))


def card(rng, f, pick):
    """A character card as front ends write them; a list of one or more system messages."""
    f.name = n = pick.name()
    u = rng.choice(["User", "User", "You", pick.name()])
    manner = rng.choice(list(MANNERS)) if rng.random() < 0.75 else None
    if rng.random() < 0.6:
        f.role, f.role_manner = pick.role()
    if manner:
        f.manner = manner
    trait = rng.choice(TRAITS[manner]) if manner else None
    other = rng.choice(W.ADJECTIVES)
    extra = f"{rng.choice(['likes', 'helps', 'assists', 'loves', 'knows', 'carries', 'watches'])} {u if rng.random() < 0.5 else phrase(rng, 1, 3)} with {phrase(rng, 1, 4)}"
    r = rng.random()
    role = f.role
    out = []
    if rng.random() < 0.5:
        out.append(rng.choice([f"Write {n}'s next reply in a fictional chat between {n} and {u}.", f"Write the next reply of {n} in a chat between {n} and {u}.",
                               f"Continue the chat between {n} and {u}. You are {n}.", f"This is a roleplay between {n} and {u}. You play {n}.",
                               f"You are {n} in a chat with {u}."]))
        if rng.random() < 0.5:
            out[-1] += " " + noise(rng, 1, 4)
        if rng.random() < 0.3:
            out[-1] += " " + say_actions(rng, f, pick) + " " + sentence(rng)
    if r < 0.22:
        bits = [x for x in (role, trait, extra if rng.random() < 0.5 else None) if x] or [extra]
        block = f"[{n} = {', '.join(bits)}{rng.choice(['', '.'])}]"
    elif r < 0.45:
        block = f"Name: {n}"
        if role:
            block += f"\n{rng.choice(['Role', 'Occupation', 'Job', 'Description'])}: {role}"
        block += f"\nPersonality: {', '.join(x for x in (trait, other) if x)}"
        if rng.random() < 0.4:
            block += f"\nScenario: {sentence(rng)}"
    elif r < 0.6:
        block = f"{n} is {role}." if role else f"{n} {extra}."
        block += f"\n{n}'s personality: {', '.join(x for x in (trait, other) if x)}"
        if rng.random() < 0.4:
            block += f"\nScenario: {sentence(rng)}"
    elif r < 0.75:
        block = f'[character("{n}") {{'
        if role:
            block += f'\nOccupation("{role}")'
        if trait:
            block += f'\nPersonality("{trait}" + "{other}")'
        block += f'\nLikes("{rng.choice(W.FILLER)}" + "{rng.choice(W.FILLER)}")\n}}]'
    elif r < 0.9:
        block = f"{n}'s Persona: {n} is {role or 'here'}." if role else f"{n}'s Persona: {n} {extra}."
        if trait:
            block += f" {n} is {trait}."
    else:
        block = f"You are {n}" + (f", {role}." if role else ".") + (f" You are {trait}." if trait else "") + " " + sentence(rng)
    out.append(block)
    if rng.random() < 0.35:
        out.append(noise(rng, 1, 3))
    if rng.random() < 0.35:
        out.append("[Start a new Chat]")
    return out


STATEMENTS = [(say_name, 3), (say_name_role, 4), (say_role, 3), (say_manner, 4), (say_colour, 4), (say_season, 2), (say_mood, 2), (say_close, 1),
              (say_actions, 0.6), (say_user, 1)]


def statement(rng, f, pick):
    fns, weights = zip(*STATEMENTS)
    return rng.choices(fns, weights)[0](rng, f, pick)
