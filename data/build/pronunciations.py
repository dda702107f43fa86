"""How each word is said, accent by accent, in the phonemes that Kokoro reads.

Kokoro uses IPA with capital letters for diphthongs: A = eɪ, I = aɪ, O = oʊ (American), Q = əʊ (British), W
= aʊ. A tuple holds alternatives; each take of a speaker draws one. The foreign accents follow the commonest
substitutions that phonetics textbooks list for learners of English (Swan & Smith, *Learner English*,
Cambridge, 2001): /θ/ becomes /s/, /t/ or /f/; /w/ becomes /v/; /r/ takes the form of the first language;
diphthongs flatten.
"""

DIGITS = {
    "american": {
        "0": ("zˈɪɹO", "zˈiɹO"),
        "1": ("wˈʌn",),
        "2": ("tˈu",),
        "3": ("θɹˈi",),
        "4": ("fˈɔɹ",),
        "5": ("fˈIv",),
        "6": ("sˈɪks",),
        "7": ("sˈɛvən", "sˈɛvᵊn"),
        "8": ("ˈAt",),
        "9": ("nˈIn",),
    },
    "british": {
        "0": ("zˈɪəɹQ",),
        "1": ("wˈʌn", "wˈɒn"),
        "2": ("tˈuː",),
        "3": ("θɹˈiː",),
        "4": ("fˈɔː",),
        "5": ("fˈIv",),
        "6": ("sˈɪks",),
        "7": ("sˈɛvən", "sˈɛvn"),
        "8": ("ˈAt",),
        "9": ("nˈIn",),
    },
    "french": {
        "0": ("zeʁˈo", "zˈiʁo"),
        "1": ("wˈan", "wˈɔn"),
        "2": ("tˈu",),
        "3": ("sʁˈi", "tʁˈi", "fɹˈi"),
        "4": ("fˈɔʁ", "fˈɔɹ"),
        "5": ("fˈajv", "fˈIv"),
        "6": ("sˈiks",),
        "7": ("sˈɛvɛn", "sˈɛvən"),
        "8": ("ˈɛt", "ˈejt"),
        "9": ("nˈajn", "nˈIn"),
    },
    "german": {
        "0": ("zˈiɹo", "zˈiːʁo"),
        "1": ("wˈan", "vˈan"),
        "2": ("tˈuː",),
        "3": ("sɹˈiː", "sʁˈiː", "θɹˈiː"),
        "4": ("fˈɔɐ", "fˈɔː"),
        "5": ("fˈIf", "fˈIv"),
        "6": ("sˈɪks", "zˈɪks"),
        "7": ("sˈɛvən", "zˈɛvən"),
        "8": ("ˈeːt", "ˈAt"),
        "9": ("nˈIn",),
    },
    "romance": {
        "0": ("sˈiɾo", "zˈeɾo"),
        "1": ("wˈan", "wˈon"),
        "2": ("tˈu",),
        "3": ("tɾˈi", "θɾˈi"),
        "4": ("fˈɔr", "fˈoɾ"),
        "5": ("fˈajv", "fˈIv"),
        "6": ("sˈiks",),
        "7": ("sˈɛven", "sˈɛvɛn"),
        "8": ("ˈejt", "ˈAt"),
        "9": ("nˈajn", "nˈIn"),
    },
    "indian": {
        "0": ("zˈiɾo", "zˈiɾoː"),
        "1": ("ʋˈʌn", "wˈʌn"),
        "2": ("ʈˈu", "tˈu"),
        "3": ("tɾˈiː", "θɾˈi"),
        "4": ("fˈoɾ", "fˈɔɹ"),
        "5": ("fˈIʋ", "fˈIv"),
        "6": ("sˈɪks",),
        "7": ("sˈɛʋən", "sˈɛvən"),
        "8": ("ˈeːʈ", "ˈAt"),
        "9": ("nˈIn",),
    },
    "east_asian": {
        "0": ("zˈiɾo", "zˈiɹo"),
        "1": ("wˈan", "wˈʌn"),
        "2": ("tˈu", "ʦˈu"),
        "3": ("sɹˈi", "θɹˈi"),
        "4": ("fˈɔː", "fˈɔ"),
        "5": ("fˈIv", "fˈIf"),
        "6": ("sˈiks", "sˈɪks"),
        "7": ("sˈɛvən", "sˈɛvun"),
        "8": ("ˈAt", "ˈejt"),
        "9": ("nˈIn",),
    },
    "slavic": {
        "0": ("zˈero", "zˈiro"),
        "1": ("vˈan", "wˈan"),
        "2": ("tˈu",),
        "3": ("srˈi", "trˈi", "θrˈi"),
        "4": ("fˈor", "fˈɔr"),
        "5": ("fˈajv", "fˈIv"),
        "6": ("sˈiks",),
        "7": ("sˈɛvɛn", "sˈɛvən"),
        "8": ("ˈejt", "ˈɛjt"),
        "9": ("nˈajn",),
    },
}

WORDS = {
    "american": {
        "yes": "jˈɛs",
        "no": "nˈO",
        "up": "ˈʌp",
        "down": "dˈWn",
        "left": "lˈɛft",
        "right": "ɹˈIt",
        "stop": "stˈɑp",
        "go": "ɡˈO",
    },
    "british": {
        "yes": "jˈɛs",
        "no": "nˈQ",
        "up": "ˈʌp",
        "down": "dˈWn",
        "left": "lˈɛft",
        "right": "ɹˈIt",
        "stop": "stˈɒp",
        "go": "ɡˈQ",
    },
}

# Sentences of `data/listen/`, written for lesson 1: many /s/, /f/ and /θ/, which a telephone loses.
LISTEN = {
    "fifty six fish swim swiftly past the ship": "fˈɪfti sˈɪks fˈɪʃ swˈɪm swˈɪftli pˈæst ðə ʃˈɪp.",
    "sail fail sin fin thin": "sˈAl, fˈAl, sˈɪn, fˈɪn, θˈɪn.",
    "a machine hears a wave and writes a word": "ɐ məʃˈin hˈɪɹz ɐ wˈAv ænd ɹˈIts ɐ wˈɜɹd.",
    "zero one two three four five six seven eight nine": (
        "zˈɪɹO, wˈʌn, tˈu, θɹˈi, fˈɔɹ, fˈIv, sˈɪks, sˈɛvən, ˈAt, nˈIn."
    ),
    "ah ee oo": "ˈɑː, ˈiː, ˈuː.",
    "can you hear the difference": "kæn ju hˈɪɹ ðə dˈɪfɹəns?",
}
