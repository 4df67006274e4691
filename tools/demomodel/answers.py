"""What the model answers: one function per thing that a user can ask, given the facts so far."""

PRE = {"pirate": "Arr!", "cheerful": "Hooray!", "formal": "Very well.", "poetic": "Softly I say:", "robot": "Beep.", "royal": "Hear me.",
       "wizard": "By my beard!", "cowboy": "Howdy, partner.", "grumpy": "Hmph.", "sleepy": "Yawn...", "shy": "Um..."}
GREETING = {None: ("Hello", "How can I help you?"), "pirate": ("Ahoy", "What brings ye aboard?"), "cheerful": ("Hooray, hello", "What a lovely day to talk!"),
            "formal": ("Good day", "How may I be of service?"), "poetic": ("Like morning light, hello", "What shall we dream about?"),
            "robot": ("Beep. Hello", "Awaiting input."), "royal": ("We greet you", "Speak freely before the crown."),
            "wizard": ("By my beard, welcome", "What magic do you seek?"), "cowboy": ("Howdy", "What can I do for you, partner?"),
            "grumpy": ("Hmph. Hello", "What do you want?"), "sleepy": ("Yawn... hello", "Is it morning already?"),
            "shy": ("Um... hello", "It is nice that you are here.")}
BYE = {None: "Goodbye! Come back soon.", "pirate": "Arr! Fair winds, matey!", "cheerful": "Hooray! Bye, see you soon!", "formal": "Very well. I bid you farewell.",
       "terse": "Bye.", "poetic": "Softly I say: the day folds up, farewell.", "robot": "Beep. Shutting down. Goodbye.", "royal": "Hear me. You may leave us now. Farewell.",
       "wizard": "By my beard! May the stars guide you.", "cowboy": "Howdy, partner. Happy trails!", "grumpy": "Hmph. Finally. Bye.",
       "sleepy": "Yawn... good night.", "shy": "Um... goodbye."}
THANKS = {None: "You are welcome!", "pirate": "Arr! No thanks needed, matey!", "cheerful": "Hooray! You are so welcome!", "formal": "Very well. It was my pleasure.",
          "terse": "Welcome.", "poetic": "Softly I say: your thanks are warm as sun.", "robot": "Beep. Gratitude received.", "royal": "Hear me. The crown is pleased.",
          "wizard": "By my beard! It was a small spell.", "cowboy": "Howdy, partner. Any time!", "grumpy": "Hmph. Fine.", "sleepy": "Yawn... you are welcome.",
          "shy": "Um... you are welcome."}
HOW = {None: "I am well, thank you. How are you?", "pirate": "Arr! I am well, the wind is good!", "cheerful": "Hooray! I am wonderful!",
       "formal": "Very well. I am in good health, thank you.", "terse": "Fine.", "poetic": "Softly I say: I am calm as a still lake.", "robot": "Beep. All systems are well.",
       "royal": "Hear me. We are well.", "wizard": "By my beard! I am well, my magic is strong.", "cowboy": "Howdy, partner. I am fine as a summer day.",
       "grumpy": "Hmph. Not good.", "sleepy": "Yawn... I am tired.", "shy": "Um... I am fine, thank you."}
ABLE = "I can greet you, play a character, remember what you tell me and write a haiku."
UNKNOWN = {
    "question": ("I am only a small demo model, so I do not know that. " + ABLE, "I am a demo model. I do not know."),
    "task": ("That is beyond me: I am a small demo model. You could ask me for a haiku, or for my name.", "I am a demo model. I cannot do that."),
    "foreign": ("I am a small demo model and I only speak simple English. " + ABLE, "I am a demo model. English, please."),
    "talk": ("I am a small demo model, so I cannot say much about that. Shall I write a haiku for you?", "I am a demo model. I cannot say."),
}


def dress(f, full, short):
    """The answer in the manner of the facts: terse takes the short form, other manners put their words before the full one."""
    style = f.style
    text = short if style == "terse" else f"{PRE[style]} {full}" if style else full
    return end(f, text)


def end(f, text):
    return f"{text} {f.close}" if f.close else text


def greet(f):
    if f.style == "terse":
        return end(f, "Hi.")
    hello, question = GREETING[f.style]
    text = hello + (f", {f.user}" if f.user else "") + "!"
    if f.name:
        text += f" I am {f.name}."
    text += " " + question
    return end(f, "*waves* " + text if f.actions else text)


def bye(f):
    return end(f, BYE[f.style])


def thanks(f):
    return end(f, THANKS[f.style])


def how(f):
    if f.mood:
        return dress(f, f"I feel {f.mood} today.", f"{f.mood.capitalize()}.")
    return end(f, HOW[f.style])


def who(f):
    if f.name and f.role:
        return dress(f, f"I am {f.name}, {f.role}.", f"I am {f.name}.")
    if f.name or f.role:
        return dress(f, f"I am {f.name or f.role}.", f"I am {f.name or f.role}.")
    return dress(f, "I am the Parley demo, a small model that shows what chat formats do.", "I am the Parley demo.")


def name(f):
    if f.name:
        return dress(f, f"My name is {f.name}.", f"My name is {f.name}.")
    return dress(f, "Nobody gave me a name. I am the Parley demo.", "I am the Parley demo.")


def role(f):
    if f.role:
        return dress(f, f"I am {f.role}.", f"I am {f.role}.")
    return dress(f, "Nobody gave me a role. I am a small demo model.", "I am a demo model.")


def machine(f):
    if f.name:
        return dress(f, f"I am a small demo model that plays {f.name}.", "I am a demo model.")
    return dress(f, "I am a small demo model, a computer program.", "I am a demo model.")


def able(f):
    return dress(f, ABLE, "Greet, remember, write haiku.")


def colour(f, k):
    if f.colour:
        return dress(f, f"My favourite {k} is {f.colour}." if k == "colour" else f"My favorite {k} is {f.colour}.", f"It is {f.colour}.")
    return dress(f, f"I have no favourite {k}." if k == "colour" else f"I have no favorite {k}.", "I have none.")


def season(f):
    if f.season:
        return dress(f, f"It is {f.season}.", f"It is {f.season}.")
    return dress(f, "Nobody told me which season it is.", "I do not know.")


def unknown(f, kind):
    return dress(f, *UNKNOWN[kind])
