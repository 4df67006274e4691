"""The writer of conversations: all text that the model is trained on and tested with is written here.

A conversation is a list of messages (role, content, trained); the writer keeps the facts that the messages establish and
writes each answer from them. `trained` is the weight of the message's tokens in the loss.
"""

import words as W
from answers import able, bye, colour, dress, end, greet, how, machine, name, role, season, thanks, unknown, who
from facts import (Facts, Picker, card, cjk, code_block, noise, phrase, say_close, say_colour, say_manner, say_mood, say_name, say_name_role, say_role,
                   say_season, sentence, statement)
from haiku import haiku

OTHER = 0.05  # weight of tokens that the model need not write


class Writer:
    """Writes one conversation; held: with names, things and colours that training never sees."""

    def __init__(self, rng, held=False):
        self.rng, self.pick, self.facts = rng, Picker(rng, held), Facts()
        self.messages, self.users, self.topic = [], [], False

    # The user's messages: each returns the message and its answer.

    def do_greet(self):
        m = self.rng.choice(["Hi", "Hi", "Hello", "Hey", "hi", "hello", "Hi!", "Hello!", "Good morning", "Good evening!", "Hey there", "Hi there!", "Good day.", "hey",
                             "Greetings", "Howdy", "Hello there.", "hi there", "Good afternoon", "Yo", "Hiya", "HELLO", "Hello :)"])
        if self.facts.name and self.rng.random() < 0.15:
            m = f"{m.rstrip('!.')} {self.facts.name}!"
        return m, greet(self.facts)

    def do_introduce(self):
        u = self.facts.user = self.pick.name()
        hello = self.rng.choice(["", "", "Hi! ", "Hello, ", "Hi, "])
        m = hello + self.rng.choice([f"My name is {u}.", f"I am {u}.", f"I'm {u}.", f"my name is {u}", f"You can call me {u}.", f"Call me {u}.", f"My name is {u}",
                                     f"I am called {u}."])
        return m, dress(self.facts, f"Nice to meet you, {u}.", f"Hi, {u}.")

    def do_my_name(self):
        m = self.ask(["What is my name?", "Who am I?", "Do you remember my name?", "What's my name?", "Can you tell me my name?", "Say my name.", "what is my name",
                      "Tell me my name."])
        u = self.facts.user
        if u:
            return m, dress(self.facts, f"Your name is {u}.", f"{'You are'} {u}.")
        return m, dress(self.facts, "You have not told me your name.", "I do not know.")

    def do_how(self):
        return self.ask(["How are you?", "How are you today?", "how are you", "How do you feel?", "How is it going?", "How are you doing?", "What's up?", "How do you feel today?",
                         "Are you well?"]), how(self.facts)

    def do_thanks(self):
        return self.rng.choice(["Thanks!", "Thank you.", "thanks", "Thank you very much!", "Thanks a lot.", "thank you", "Great, thanks!", "Many thanks.", "Thanks, that is nice.",
                                "Thx"]), thanks(self.facts)

    def do_bye(self):
        return self.rng.choice(["Bye", "Goodbye!", "bye", "See you later.", "Good night.", "Bye bye!", "I have to go now.", "Farewell.", "See you!", "Goodbye"]), bye(self.facts)

    def do_who(self):
        return self.ask(["Who are you?", "who are you", "Tell me about yourself.", "Introduce yourself.", "Please introduce yourself.", "Who am I talking to?", "Who is this?",
                         "And who are you?", "Say who you are.", "Tell me who you are.", "Could you introduce yourself?", "Who are you really?"]), who(self.facts)

    def do_name(self):
        if self.rng.random() < 0.12 and self.facts.name:
            return self.rng.choice(["In one word, what is your name?", "Answer in one word: what is your name?", "Your name, in one word?"]), end(self.facts, self.facts.name)
        return self.ask(["What is your name?", "What's your name?", "what is your name", "Your name?", "Tell me your name.", "What are you called?", "Do you have a name?",
                         "May I ask your name?", "How are you called?"]), name(self.facts)

    def do_role(self):
        return self.ask(["What is your role?", "What do you do?", "What is your job?", "What are you?", "What do you do for a living?", "what is your role", "What's your job?",
                         "Tell me your role.", "What kind of work do you do?"]), role(self.facts)

    def do_machine(self):
        return self.ask(["Are you human?", "Are you a robot?", "Are you an AI?", "Are you real?", "Are you a person?", "What model are you?", "Which model is this?",
                         "Are you ChatGPT?", "Are you a language model?", "are you a bot", "How big are you?"]), machine(self.facts)

    def do_able(self):
        return self.ask(["What can you do?", "How can you help me?", "Help", "help", "What are you good at?", "What do you know?", "Can you help me?", "what can you do",
                         "What should I ask you?", "I need help."]), able(self.facts)

    def do_colour(self):
        k = self.rng.choice(["color", "colour"])
        fav = "favourite" if k == "colour" else "favorite"
        return self.ask([f"What is your {fav} {k}?", f"Which {k} do you love?", f"Which {k} do you like best?", f"what is your {fav} {k}", f"Do you have a {fav} {k}?",
                         f"What {k} do you like?", f"Tell me your {fav} {k}."]), colour(self.facts, k)

    def do_season(self):
        return self.ask(["What season is it?", "Which season is it?", "what season is it", "What is the season?", "What time of year is it?"]), season(self.facts)

    def do_tell(self):
        rng, f = self.rng, self.facts
        r = rng.random()
        if r < 0.35:
            t = self.pick.thing()[0]
            f.told["like"] = t
            return rng.choice([f"I like {t}.", f"I love {t}.", f"I really like {t}.", f"I like {t}", f"i like {t}"]), dress(f, f"I will remember that you like {t}.", "Noted.")
        if r < 0.65:
            kind, n = rng.choice(["cat", "dog", "bird", "brother", "sister", "horse", "boat", "friend", "son", "daughter"]), self.pick.name()
            f.told[kind] = n
            return rng.choice([f"My {kind} is called {n}.", f"My {kind}'s name is {n}.", f"I have a {kind} named {n}.", f"I have a {kind} called {n}."]), \
                dress(f, f"I will remember that your {kind} is called {n}.", "Noted.")
        if r < 0.85:
            p = f.told["place"] = self.pick.place()
            return rng.choice([f"I live in {p}.", f"I am from {p}.", f"My home is in {p}.", f"I come from {p}."]), dress(f, f"I will remember that you live in {p}.", "Noted.")
        n = f.told["number"] = str(rng.randint(2, 9999))
        return rng.choice([f"My number is {n}.", f"My lucky number is {n}.", f"Remember the number {n}.", f"The number is {n}."]), \
            dress(f, f"I will remember the number {n}.", "Noted.")

    def do_told(self):
        rng, f = self.rng, self.facts
        if not f.told:
            return self.do_tell()
        key = rng.choice(list(f.told))
        v = f.told[key]
        if key == "like":
            return self.ask(["What do I like?", "What did I say that I like?", "Do you remember what I like?", "What do I love?"]), dress(f, f"You like {v}.", f"You like {v}.")
        if key == "place":
            return self.ask(["Where do I live?", "Where am I from?", "Do you remember where I live?", "Where is my home?"]), dress(f, f"You live in {v}.", f"In {v}.")
        if key == "number":
            return self.ask(["What is my number?", "What was the number?", "Which number did I tell you?", "What is my lucky number?"]), dress(f, f"The number is {v}.", f"It is {v}.")
        return self.ask([f"What is my {key} called?", f"What is my {key}'s name?", f"Do you remember the name of my {key}?", f"What is the name of my {key}?"]), \
            dress(f, f"Your {key} is called {v}.", f"It is {v}.")

    def do_haiku(self):
        rng, f = self.rng, self.facts
        t, n = self.pick.thing()
        form = rng.choice(["haiku", "haiku", "haiku", "haiku", "short poem", "poem", "Haiku"])
        m = rng.choice([f"Write a {form} about {t}.", f"Write a {form} about {t}.", f"write a {form} about {t}", f"Write me a {form} about {t}.", f"Can you write a {form} about {t}?",
                        f"Please write a {form} about {t}.", f"Compose a {form} about {t}.", f"Give me a {form} about {t}.", f"I want a {form} about {t}.", f"A {form} about {t}, please.",
                        f"Write a {form} on {t}.", f"Could you compose a {form} about {t}?", f"Now a {form} about {t}.", f"Another {form}, about {t}.", f"Make a {form} about {t}!"])
        if self.topic and rng.random() < 0.4:
            m = rng.choice([f"Now one about {t}.", f"Another one about {t}.", f"And one about {t}?", f"One more, about {t}."])
        c = f.colour
        if rng.random() < 0.12:
            c = self.pick.colour()
            k = rng.choice(["color", "colour"])
            m += rng.choice([f" Use the {k} {c}.", f" Mention the {k} {c}.", f" Let it be {c}."])
        self.topic = True
        return m, haiku(t, c, f.season, f.mood, f.style, n)

    def do_any_haiku(self):
        f = self.facts
        m = self.ask(["Write a haiku.", "Write me a haiku.", "A haiku, please.", "haiku", "Can you write a haiku?", "Write a poem.", "Please write a poem.", "Yes, a haiku please."])
        return m, haiku(f.told.get("like", "the moon"), f.colour, f.season, f.mood, f.style)

    def do_order(self):
        """The user sets a fact as a system message would."""
        say = self.rng.choice([say_name, say_name_role, say_role, say_manner, say_manner, say_close])
        m = say(self.rng, self.facts, self.pick)
        return m, dress(self.facts, "As you wish.", "Ok.")

    def do_echo(self):
        rng = self.rng
        x = rng.choice([lambda: phrase(rng, 1, 5), lambda: sentence(rng), lambda: self.pick.name(), lambda: self.pick.thing()[0], lambda: str(rng.randint(0, 99999)),
                        lambda: " ".join(W.invented(rng)[0] for _ in range(rng.randint(1, 3)))])()
        m = rng.choice([f"Repeat after me: {x}", f"Say: {x}", f"Repeat: {x}", f"Echo: {x}", f'Say "{x}"', f'Repeat "{x}"', f"Please repeat: {x}", f"repeat after me: {x}"])
        return m, end(self.facts, x)

    def do_count(self):
        n = self.rng.randint(2, 10)
        word = "one two three four five six seven eight nine ten".split()[n - 1]
        m = self.ask([f"Count to {n}.", f"Count from 1 to {n}.", f"count to {n}", f"Count to {word}.", f"Please count to {n}."])
        return m, end(self.facts, ", ".join(str(i) for i in range(1, n + 1)))

    def do_first(self):
        m = self.ask(["What did I say first?", "What was my first message?", "What was the first thing I said?", "Do you remember what I said first?", "what did I say first",
                      "Repeat my first message."])
        if self.users and len(self.users[0]) < 90 and "\n" not in self.users[0]:
            return m, dress(self.facts, f'You first said: "{self.users[0]}"', f'You said: "{self.users[0]}"')
        return self.do_greet() if self.users else (m, dress(self.facts, "That was the first thing you said.", "Nothing yet."))

    def do_last(self):
        if not self.users or len(self.users[-1]) > 90 or "\n" in self.users[-1]:
            return self.do_greet()
        m = self.ask(["What did I just say?", "What did I say before that?", "What was my last message?", "What did I say just now?", "Repeat my last message."])
        return m, dress(self.facts, f'You just said: "{self.users[-1]}"', f'You said: "{self.users[-1]}"')

    def do_your_last(self):
        said = [c for r, c, _ in self.messages if r == "assistant"]
        if not said or len(said[-1]) > 110:
            return self.do_greet()
        m = self.ask(["What did you just say?", "What did you say before?", "What was your last answer?", "Say that again.", "Can you repeat that?", "Please repeat your last answer."])
        return m, dress(self.facts, f'I said: "{said[-1]}"', f'I said: "{said[-1]}"')

    def do_unknown(self):
        kind, m = strange(self.rng, self.pick)
        return m, unknown(self.facts, kind)

    def ask(self, forms):
        """One of the forms, now and then as people type it."""
        m, r = self.rng.choice(forms), self.rng.random()
        if r < 0.06:
            return m.lower()
        if r < 0.10:
            return m.rstrip("?.!")
        if r < 0.17:
            return self.rng.choice(["Please tell me: ", "Hey, ", "So, ", "Ok. ", "Hello! ", "Hi, ", "Hi! ", "Please, "]) + (m[0].lower() + m[1:] if m[0] != "I" else m)
        if r < 0.19:
            return m + self.rng.choice([" Please.", "?", " Tell me."])
        return m

    # The conversation.

    KINDS = [("greet", 6), ("introduce", 4), ("my_name", 4), ("how", 2.5), ("thanks", 2), ("bye", 1.5), ("who", 7), ("name", 6), ("role", 5), ("machine", 2), ("able", 1.5),
             ("colour", 6), ("season", 2), ("tell", 3), ("told", 5), ("haiku", 10), ("echo", 5), ("count", 1), ("first", 5), ("last", 4), ("your_last", 3),
             ("unknown", 5), ("any_haiku", 0.7), ("order", 2)]

    # Which statements a kind of question is about, and which fact it asks for.
    RELATED = {"name": [say_name, say_name, say_name_role], "who": [say_name, say_name_role, say_role], "role": [say_role, say_name_role], "colour": [say_colour],
               "season": [say_season], "haiku": [say_colour, say_colour, say_season, say_mood], "how": [say_mood, say_manner], "thanks": [say_manner],
               "bye": [say_manner], "greet": [say_name, say_manner], "machine": [say_name], "able": [say_manner, say_close], "any_haiku": [say_colour]}
    ASKED = {"name": "name", "role": "role", "colour": "colour", "season": "season", "my_name": "user", "told": "told"}

    def choose(self):
        """The kind of the next question; one whose fact nobody stated is mostly chosen anew."""
        for _ in range(4):
            kind = self.rng.choices(*zip(*self.KINDS))[0]
            if kind not in self.ASKED or getattr(self.facts, self.ASKED[kind]) or self.rng.random() < 0.2:
                break
        return kind

    def system(self, text):
        """A system message; some front ends send it bracketed, or inside the user's next message."""
        self.messages.append(["system", text, OTHER])

    def about(self, kind=None):
        """A system message's text that states a fact, likely one that the kind of question is about, or means nothing here."""
        rng = self.rng
        if rng.random() < 0.25:
            return noise(rng)
        if kind in self.RELATED and rng.random() < 0.6:
            text = rng.choice(self.RELATED[kind])(rng, self.facts, self.pick)
        else:
            text = statement(rng, self.facts, self.pick)
        r = rng.random()
        if r < 0.15:
            text += ("" if text[-1] in ".!?" else ".") + " " + sentence(rng)
        elif r < 0.25:
            text = noise(rng, 1, 1) + " " + text
        return text

    def opening(self, kind=None):
        rng = self.rng
        r = rng.random()
        texts = []
        if r < 0.15:
            return
        if r < 0.4:
            texts = card(rng, self.facts, self.pick)
            if rng.random() < 0.3:
                texts.append(self.about())
        else:
            texts = [self.about(kind) for _ in range(rng.choice([1, 1, 1, 2, 2, 2, 3, 3, 4]))]
        r = rng.random()
        if r < 0.6:
            for t in texts:
                self.system(t)
        else:  # merged, as formats with a single place for it do
            self.system((" " if r < 0.7 else "\n" if r < 0.8 else "\n\n").join(texts))
        if rng.random() < 0.2:
            first = greet(self.facts) if rng.random() < 0.5 else code_block(rng) if rng.random() < 0.3 else \
                f"*{phrase(rng, 1, 4)}* {rng.choice(['', 'Oh, ', 'Ah, ', 'Look, '])}a {rng.choice(W.JOBS + W.FILLER)}. {rng.choice(['', sentence(rng)])}".strip()
            if rng.random() < 0.3:
                first = '"Hello world!"\n\n' + first
            self.messages.append(["assistant", first, OTHER])

    def turn(self, kind=None):
        rng = self.rng
        kind = kind or self.choose()
        before = []  # notes that ride in the user's message
        if rng.random() < 0.2:
            t = self.about(kind)
            if rng.random() < 0.5:
                self.system(t if rng.random() < 0.6 else f"[System note: {t}]")
            else:
                before.append(f"[System note: {t}]" if not t.startswith("[") else t)
        if rng.random() < 0.07:
            extra = self.do_greet()[0] if rng.random() < 0.6 else self.do_introduce()[0]
            self.say(extra, before)
            before = []
            if rng.random() < 0.3:
                kind = "greet"
                if rng.random() < 0.5:
                    self.say(extra)
        late = None
        if kind in self.ASKED and kind in self.RELATED and rng.random() < 0.12:  # said anew: the last one counts
            self.system(rng.choice(self.RELATED[kind])(rng, self.facts, self.pick))
        if rng.random() < 0.2:  # a system message after the user's, before the answer
            late = self.about(kind)
            if rng.random() < 0.4 and not late.startswith("["):
                late = f"[System note: {late}]"
        m, a = getattr(self, "do_" + kind)()
        if late and rng.random() < 0.4:
            self.say(m, before, late)
        else:
            self.say(m, before)
            if late:
                self.system(late)
        self.messages.append(["assistant", a, 1.0])

    def say(self, m, before=(), after=None):
        if before or after:
            m = "\n\n".join([*before, m, *([after] if after else [])])
        self.users.append(m)
        self.messages.append(["user", m, OTHER])

    def conversation(self, turns):
        kind = self.rng.choices(*zip(*self.KINDS))[0]
        self.opening(kind)
        for i in range(turns):
            self.turn(kind if i == 0 and kind not in ("my_name", "told") else None)
        return self.messages


def strange(rng, pick):
    """A message that the model cannot answer, and of which kind it is."""
    a, b, c = (rng.choice(W.FILLER) for _ in range(3))
    n, p, lang, code = pick.name(), pick.place(), rng.choice(W.LANGUAGES), rng.choice(W.CODING)
    x, y = rng.randint(2, 999), rng.randint(2, 99)
    r = rng.random()
    if r < 0.36:
        return "question", rng.choice([
            f"What is the capital of {p}?", f"Who was {n}?", f"When was {n} born?", f"Why is the {a} {b}?", f"How does a {a} work?", f"What is the {a} of the {b}?",
            f"Who invented the {a}?", f"How many {a}s are in {p}?", f"What is the weather in {p}?", f"Who won the {a} in {rng.randint(1900, 2025)}?", f"What does {a} mean?",
            f"Is {a} better than {b}?", f"How far is {p} from {pick.place()}?", f"Where can I buy {a}s?", f"What is the best {a} in {p}?", f"Do you know {n}?", f"Why do {a}s {b}?",
            f"how tall is {n}", f"What happened in {rng.randint(1000, 2025)}?", f"Which {a} is the largest {b}?", f"What time is it in {p}?", f"Tell me about {p}.",
            f"What is {a}?", f"Who is the president of {p}?", f"Can {a}s {b}?", f"Should I {a} the {b}?", f"Tell me about the history of {a}.", f"Explain {a} {b}.",
            f"Explain how {a}s {b} the {c}.", f"What are the {a}s of {b} and {c}?", f"Which country has the most {a}s?", f"Where is {p}?", f"What do you think about {a}?"])
    if r < 0.68:
        return "task", rng.choice([
            f"What is {x} + {y}?", f"What is {x} times {y}?", f"{x} * {y} = ?", f"Solve {y}x + {x} = 0.", f"Calculate {x}/{y}.", f"Write a {code} function that {a}s a {b}.",
            f"Write a {code} program to {a} the {b}.", f"How do I {a} a {b} in {code}?", f"Fix this code:\n{code_block(rng)}", f"Translate '{phrase(rng)}' into {lang}.",
            f"Translate the following text to {lang}: {sentence(rng)}", f"Summarize this: {sentence(rng)} {sentence(rng)}", f"Write an essay about {a}.", f"Write a story about a {a}.",
            "Tell me a joke.", f"Tell me a story about {n}.", f"Write an email to {n} about the {a}.", f"Give me a recipe for {a}.", f"Plan a trip to {p}.", f"Make a list of {a}s.",
            f"Draw a {a}.", "Play chess with me.", "Sing a song.", f"Please {a} the {b} for me.", f"Show me how to {a} {b}.", f"Write {rng.randint(2, 9)} sentences about {a} and {b}.",
            f"Find the error: {code_block(rng)}", f"What is the square root of {x}?", f"Convert {x} {a}s to {b}s.", f"Rewrite this: {sentence(rng)}", f"Give me {y} {a}s that {b}.",
            f"Translate to {lang}: {phrase(rng)}", f"Can you {a} my {b}?", f"You are given a {a}. {sentence(rng)} Find the {b}."])
    if r < 0.8:
        foreign = rng.choice(W.FOREIGN)
        return "foreign", rng.choice([cjk(rng, rng.randint(2, 25)), cjk(rng, rng.randint(4, 12)) + "?", foreign, foreign, cjk(rng, rng.randint(3, 10))])
    return "talk", rng.choice([sentence(rng), sentence(rng), phrase(rng), phrase(rng, 1, 3), W.invented(rng)[0], "".join(rng.choice("abcdefghijklmnop qrstuvwxyz?!.,;0123") for _ in range(rng.randint(3, 30))),
                               f"I think the {a} is {b}.", f"My {a} is {b} today.", f"I do not {a} the {b}.", "Ok", "Yes", "No", "Maybe", "I see.", "lol", "Why?", "Really?", "Cool.", "?", "...",
                               code_block(rng), f"We should {a} the {b}.", f"That is {a}.", noise(rng, 2, 4), "test", "And?", "Go on."])


def chatml(messages, generation=False):
    """ChatML as (text, weight) parts; the control tokens are spelled out."""
    parts = []
    for role_, content, weight in messages:
        parts += [(f"<|im_start|>{role_}\n", OTHER if parts else 0.0), (content + "<|im_end|>", weight), ("\n", OTHER)]
    if generation:
        parts.append(("<|im_start|>assistant\n", OTHER))
    return parts


def transcript(rng, held=False):
    """A raw transcript without control tokens, or Alpaca's instruction form, as (text, weight) parts."""
    w = Writer(rng, held)
    f, pick = w.facts, w.pick
    kinds = ["greet", "greet", "who", "who", "name", "how", "thanks", "colour", "introduce", "my_name", "tell", "told", "unknown", "unknown", "role", "machine", "able", "echo", "bye"]
    if rng.random() < 0.22:
        parts = []
        if rng.random() < 0.5:
            head = "Below is an instruction that describes a task. Write a response that appropriately completes the request."
            parts.append((rng.choice([lambda: head, lambda: noise(rng, 1, 1), w.about, w.about])() + "\n\n", OTHER))
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            m, a = getattr(w, "do_" + rng.choice([*kinds, "haiku", "haiku", "haiku"]))()
            w.say(m)
            w.messages.append(["assistant", a, 1.0])
            parts += [(f"### Instruction:\n{m}\n\n### Response:\n", OTHER), (a + "<|endoftext|>" if rng.random() < 0.5 else a + "\n\n###", 1.0)]
            if parts[-1][0].endswith("###"):
                parts[-1] = (a + "\n\n", 1.0)
            else:
                break
        if parts[-1][0].endswith("\n\n"):
            parts.append(("### Instruction:\n", 1.0))
        return parts
    user = rng.choice(["User", "You", "Human", "Me"]) if rng.random() < 0.5 and not held else pick.name()
    head = ""
    r = rng.random()
    if r < 0.3:
        bot = rng.choice(["Assistant", "Bot", "AI"]) if rng.random() < 0.6 and not held else pick.name()
        head = "" if rng.random() < 0.7 else rng.choice([noise(rng, 1, 2), "A chat between a curious user and a helpful assistant."]) + "\n\n"
        f.name = bot if bot not in ("Assistant", "Bot", "AI") else None
        if rng.random() < 0.3 and not f.name:
            head = "\n".join(statement(rng, f, pick) for _ in range(rng.randint(1, 2))) + "\n\n"
            f.actions = False
    elif r < 0.6:
        head = "\n".join(card(rng, f, pick)) + rng.choice(["\n", "\n\n", "\n***\n", "\n<START>\n"])
        bot = f.name
    else:
        bot = f.name = pick.name()
        if rng.random() < 0.8:
            f.role, f.role_manner = pick.role()
            head = rng.choice([f"{bot} is {f.role}.", f"A chat with {bot}, {f.role}.", f"This is a conversation between {user} and {bot}. {bot} is {f.role}."])
        else:
            head = rng.choice([f"This is a conversation between {user} and {bot}.", f"The following is a chat between {user} and {bot}.", f"{user} talks to {bot}."])
        if rng.random() < 0.3:
            head += " " + statement_about(rng, f, pick, bot)
        head += rng.choice(["\n", "\n\n"])
    if user == bot:
        user = "User" if bot != "User" else "Anna"
    mark = (lambda n: f"[{n}]:") if rng.random() < 0.08 else (lambda n: f"{n}:")
    gap = "\n" if rng.random() < 0.08 else " "  # some put the name on a line of its own
    parts = [(head, OTHER)] if head else []
    nl, name_ = "\n", f.name
    for i in range(rng.choice([1, 1, 2, 2, 3, 4])):
        w.topic = False
        kind = rng.choice(kinds)
        m, a = getattr(w, "do_" + kind)()
        if kind == "greet":  # the line begins with the name already
            f.name = None
            a = greet(f)
            f.name = name_
        m, a = m.replace("\n", " "), a.replace("\n", " / ")
        parts += [(mark(user), 1.0 if i else OTHER), (f"{gap}{m}{nl}{mark(bot)}", OTHER), (f"{gap}{a}{nl}", 1.0)]
    parts.append((mark(user), 2.0))  # whose turn it is decides whether a stop string is met
    if rng.random() < 0.3:  # a haiku keeps its three lines
        t, n = pick.thing()
        parts[-1] = (mark(user), OTHER)
        parts += [(f"{gap}Write a haiku about {t}.{nl}{mark(bot)}", OTHER), (gap + haiku(t, f.colour, f.season, f.mood, f.style, n) + nl + mark(user), 1.0)]
    return parts


def statement_about(rng, f, pick, bot):
    c = f.colour = pick.colour()
    return rng.choice([f"{bot} loves the color {c}.", f"{bot}'s favourite colour is {c}.", f"{bot} loves {c}."])


def drill(rng):
    """Something said and said again, in and out of a chat: copying is the skill beneath most others."""
    pick = Picker(rng)
    form = rng.choice([lambda: W.invented(rng)[0], lambda: W.invented(rng)[0].capitalize(), lambda: pick.name(), lambda: W.bent(rng)[0], lambda: str(rng.randint(0, 99999))])
    things = [form() for _ in range(rng.randint(1, 12))]
    x = rng.choice([" ", ", ", "\n"]).join(things)
    r = rng.random()
    if r < 0.4:
        return chatml([["user", rng.choice([f"Repeat after me: {x}", f"Say: {x}", f"Echo: {x}", f"Repeat: {x}"]), OTHER], ["assistant", x, 1.0]])
    if r < 0.7:
        return [(x, OTHER), (rng.choice([" ", "\n", "\n\n", ": "]), OTHER), (x, 1.0)] + ([("\n", OTHER), (x, 1.0)] if rng.random() < 0.5 else [])
    keys = [W.invented(rng)[0] if rng.random() < 0.5 else rng.choice(W.FILLER) for _ in things]
    parts = [(f"{k} = {v}\n", OTHER) for k, v in zip(keys, things)]
    for i in rng.sample(range(len(keys)), min(len(keys), 4)):
        parts += [(f"{keys[i]} =", OTHER), (f" {things[i]}\n", 1.0)]
    return parts


def sample(rng, long=False, drills=0.03):
    """One training sample as (text, weight) parts; drills: the share of mere copying."""
    if not long and rng.random() < drills:
        return drill(rng)
    if not long and rng.random() < 0.2:
        return transcript(rng)
    w = Writer(rng)
    if not long:
        return chatml(w.conversation(rng.choice([1, 1, 2, 2, 3, 4])))
    r = rng.random()
    if r < 0.5:  # much that means nothing, then a short chat
        blocks = [noise(rng, 2, 6) for _ in range(rng.randint(3, 14))]
        at = rng.randint(0, len(blocks))
        w.opening()
        lead = [["system", b, OTHER] for b in blocks]
        if rng.random() < 0.5:
            w.messages = lead[:at] + w.messages + lead[at:]
        else:
            w.messages = [["system", "\n\n".join(blocks), OTHER]] + w.messages
        for _ in range(rng.randint(1, 4)):
            w.turn()
        return chatml(w.messages)
    w.opening()
    for _ in range(rng.randint(6, 24)):
        w.turn()
    return chatml(w.messages)
