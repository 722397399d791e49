"""Templates of what shopper and agent say. `Wording.say` fills the places in braces."""

# The shopper
GREETINGS = ("Hi", "Hello", "Hey there", "Good morning", "Hello, can you help me?")
OPENINGS = (
    "I am looking for {wanted}",
    "Can you help me find {wanted}?",
    "I need {wanted}",
    "Could I see some {wanted}?",
    "Please find me {wanted}",
    "What do you have in the way of {wanted}?",
)
SWITCHES = (
    "Now I need {wanted}",
    "Let us move on from the {old}, I also want {wanted}",
    "Forget the {old}, find me {wanted}",
    "And do you have {wanted}?",
)
INDIFFERENT = ("No preference", "I do not mind", "It does not matter to me", "Surprise me")
ANSWERS = ("{phrase}", "I would like them {phrase}", "Something {phrase}", "{phrase}, please")
SHORT_ANSWERS = ("{word}", "{word}, please", "I think {word}")
INFORM_PHRASES = (
    "I would prefer the {many} {phrase}",
    "Do you have any {many} {phrase}?",
    "Are there {many} {phrase}?",
    "I want {many} {phrase}",
    "Rather {many} {phrase}",
)
INFORM_ADJECTIVES = ("I would prefer {word} {many}", "Only {word} {many}, please", "Do you have {word} {many}?")
REFER = (
    "I like the {name} of the {nth}, what else has it?",
    "More {many} with the same {name} as the {nth}, please",
    "The {name} of the {nth} is great, anything else like it?",
    "Show me {many} that share the {name} of the {nth}",
)
REFER_WITH_VALUE = ("More {many} {phrase}, like the {nth}", "I like the {nth}, give me {many} {phrase} as well")
LIKE_BUT = (
    "Like the {nth} but {phrase}",
    "The {nth} is nice, do you have something like it {phrase}?",
    "Similar {many} to the {nth}, only {phrase}",
)
SAME_BUT = ("Same {name} as the {nth}, but {phrase}", "I like the {name} of the {nth}, but I want it {phrase}")
DISLIKE_PHRASES = ("Nothing {phrase}, please", "I do not want anything {phrase}", "Leave out the {many} {phrase}")
DISLIKE_ADJECTIVES = ("No {word} {many}, please", "I do not like {word} {many}", "Anything but {word} {many}")
DISLIKE_SHOWN = (
    "I do not like the {name} of the {nth}, what else is there?",
    "Anything with another {name} than the {nth}?",
    "The {name} of the {nth} is not for me, please try again",
)
CHANGES = (
    "Actually, make that {word} {many} instead of {old}",
    "I changed my mind, {word} {many} instead",
    "On second thought I want {word} {many}, not {old}",
)
CORRECTIONS = (
    "Sorry, not {old}, I meant {word}",
    "No, I meant {word} {many}, not {old}",
    "My mistake, I said {old} but I want {word}",
)
DROPS = ("The {name} does not matter after all", "Any {name} is fine now", "Never mind the {name}, show me all of them")
MORE = ("What else do you have?", "More, please", "Do you have other {many} like these?", "Any other {many}?")
AGAIN = ("Can I see those again?", "Let me see these once more")
PURCHASES = ("I will take the {nth}", "The {nth} it is, I want to buy it", "Please put the {nth} in my basket")
QUESTIONS = {
    "price": ("How much is the {nth}?", "What does the {nth} cost?"),
    "care": ("How do I wash the {nth}?", "How should the {nth} be cared for?"),
    "sizes": ("Which sizes are there of the {nth}?",),
    "other": ("What is the {name} of the {nth}?", "Can you tell me the {name} of the {nth}?"),
}
FAREWELLS = ("That is all, thank you", "Thanks, I am done", "Great, thanks for your help, bye", "Thank you, goodbye")

# The agent
AGENT_GREETINGS = ("Hello, what can I do for you?", "Hi, what are you looking for today?", "Welcome, how may I help?")
ASK = {
    "gender": ("Are the {many} for women or for men?", "For whom are they, women or men?"),
    "colour": ("Which colour do you have in mind?", "Any colour you would like?"),
    "style": ("What kind of occasion are they for?", "Which style do you like?"),
    "material": ("Which material should it be?", "Is there a fabric you prefer?"),
    "pattern": ("Plain, or with some print?", "Which print would you like?"),
    "sleeve": ("How long should the sleeves be?",),
    "length": ("Which length are you after?",),
    "fit": ("How should they fit?",),
    "brand": ("Do you have a favourite brand?",),
}
WAIT = ("One moment, please", "Let me see what we have", "Sure, I will have a look")
PRESENT = (
    "Here are some {wanted}",
    "These {wanted} may be what you want",
    "I found these {wanted}",
    "Take a look at our {wanted}",
)
DESCRIBE = ("The {nth} is {item}", "As for the {nth}, it is {item}", "You see {item} in the {nth}")
TELL = {
    "price": ("The {nth} is {fact} dollars", "It costs {fact} dollars"),
    "care": ("The {nth}: {fact}", "We advise to {fact}"),
    "sizes": ("The {nth} comes in {fact}", "We have it in {fact}"),
    "other": ("It is one {item}", "That is one {item}"),
}
SOLD = ("Good choice, it is in your basket", "Done, I have added it to your basket", "Wonderful, it is yours")
AGENT_FAREWELLS = ("Thank you for visiting, goodbye", "Glad I could help", "See you soon")
