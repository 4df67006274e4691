"""The word lists and the invented words from which all training text is written.

Every list has a training part and a held-out part. The held-out part never appears in training text: the evaluation
uses it to show that names, things and colours are copied from the prompt and not remembered.
"""

NAMES = """Mira Tom Anna Felix Clara Hugo Nora Otto Ruth Ivan Lena Max Elsa Paul Rosa Karl Maya Leo Ida Sam Lucy Ben Eva
Jack Alice Bob Carol Dave Emma Frank Grace Henry Iris James Kate Liam Mary Noah Olive Peter Rachel Simon Tina Victor
Wendy Zoe Marco Sofia Pedro Luna Ravi Priya Chen Mei Yuki Kenji Omar Layla Amir Fatima Igor Olga Anton Vera Jonas Freya
Astrid Bjorn Pierre Colette Marcel Amelie Giulia Dante Flint Raven Storm Echo Nova Pixel Sage Ember Willow Jasper Hazel
Basil Juniper Rufus Winston Agatha Edgar Matilda Cedric Beatrix Barnaby Aria Seraphina Luka Milo Daisy Poppy Finn
User Assistant Bot Human AI You Robin Alex Charlie Kim""".split()
HELD_NAMES = """Sven Ottilie Quentin Dorothea Malik Ingrid Tobias Xenia Percival Nadia Gustav Imogen Rafael Thelma Yusuf
Brigitte Casper Delphine Horace Linnea""".split()

TITLES = "Captain,Doctor,Dr.,Professor,Lady,Lord,Old,Little,Queen,King,Sir,Miss,Mr.,Aunt,Uncle,Master,Chef,Coach,Agent,Sister".split(",")
HELD_TITLES = "Sergeant,Madame,Baroness".split(",")

# name of a thing: syllables, category
THINGS = {}
for _category, _line in {
    "fruit": "pears 1 plums 1 peaches 2 cherries 2 lemons 2 oranges 3 bananas 3 grapes 1 melons 2 berries 2 strawberries 3 figs 1 mangos 2 coconuts 3 apricots 3",
    "animal": "cats 1 dogs 1 my cat 2 a dog 2 the fox 2 owls 1 horses 2 rabbits 2 whales 1 foxes 2 spiders 2 a frog 2 ducks 1 elephants 3 bears 1 wolves 1 mice 1 hedgehogs 2 penguins 2 butterflies 3 fish 1 crows 1 a sparrow 3 turtles 2 ants 1",
    "sky": "the moon 2 stars 1 the sun 2 clouds 1 snow 1 the wind 2 rain 1 thunder 2 fog 1 a storm 2 lightning 2 the night sky 3 dawn 1 sunset 2 rainbows 2 frost 1 the stars 2 mist 1",
    "water": "the sea 2 rivers 2 the ocean 3 a lake 2 waves 1 ponds 1 the river 3 waterfalls 3 ships 1 boats 1 a harbor 3 the beach 2 islands 2 sailors 2 lighthouses 3",
    "place": "the city 3 trains 1 home 1 a village 3 castles 2 the library 4 bridges 2 mountains 2 my house 2 streets 1 the desert 3 a garden 3 the market 3 schools 1 Paris 2 London 2 Rome 1 roads 1",
    "plant": "trees 1 roses 2 grass 1 leaves 1 flowers 2 the forest 3 moss 1 oaks 1 tulips 2 daisies 2 mushrooms 2 bamboo 2 a willow 3 ferns 1 sunflowers 3 cactus 2 weeds 1",
    "object": "books 1 a clock 2 my shoes 2 keys 1 an old chair 3 computers 3 lamps 1 a mirror 3 letters 2 robots 2 guitars 2 a pencil 3 the piano 4 hats 1 a candle 3 cameras 3 umbrellas 3 clocks 1 machines 2 chairs 1 code 1 my phone 2",
    "food": "bread 1 soup 1 coffee 2 tea 1 cheese 1 rice 1 noodles 2 pancakes 2 chocolate 3 honey 2 pizza 2 cake 1 butter 2 salad 2 cookies 2 dumplings 2 onions 2 sushi 2",
    "idea": "love 1 time 1 friendship 2 hope 1 sleep 1 music 2 silence 2 memory 3 dreams 1 winter 2 autumn 2 spring 1 summer 2 peace 1 work 1 childhood 2 a secret 3 freedom 2 old age 2 courage 2 numbers 2",
}.items():
    _words = _line.split()
    _phrase = []
    for _w in _words:
        if _w.isdigit():
            THINGS[" ".join(_phrase)] = (int(_w), _category)
            _phrase = []
        else:
            _phrase.append(_w)
HELD_THINGS = ["apples", "kites", "bicycles", "dragons", "snowflakes", "the railway", "tomatoes", "jellyfish", "a violin",
               "donkeys", "lanterns", "pumpkins", "windmills", "cinnamon", "glaciers", "a blanket", "seagulls", "puddles",
               "telescopes", "thistles"]

COLOURS = dict(green=1, red=1, blue=1, gold=1, white=1, black=1, pink=1, grey=1, gray=1, brown=1, yellow=2, purple=2,
               silver=2, orange=2, scarlet=2, golden=2, turquoise=2, amber=2, ivory=3, emerald=3, lavender=3, indigo=3,
               rose=1, bronze=1, navy=2, olive=2)
COLOURS["sky blue"] = 2
COLOURS["dark red"] = 2
COLOURS["pale green"] = 2
HELD_COLOURS = ["crimson", "teal", "violet", "maroon", "beige", "cyan", "magenta", "saffron"]

SEASONS = dict(spring=1, summer=2, autumn=2, winter=2, fall=1)
MOODS = dict(calm=1, happy=2, sad=1, lonely=2, merry=2, gentle=2, quiet=2, hopeful=2, weary=2, dreamy=2, glad=1, brave=1,
             angry=2, peaceful=2, tired=1, curious=3, melancholy=4)

JOBS = """baker librarian teacher doctor gardener sailor painter chef nurse detective tailor farmer poet guard singer
blacksmith merchant scholar scientist engineer programmer carpenter fisher hunter knight monk bard healer guide
coach student clerk tutor translator lawyer postman astronaut pilot dancer drummer writer editor barber weaver potter
miner shepherd beekeeper innkeeper cook clown judge explorer diver miller""".split()
HELD_JOBS = "plumber florist ranger archivist gondolier puppeteer cartographer glassblower".split()
ROLE_MANNERS = {  # a job that brings its manner along
    "pirate": "pirate", "pirate captain": "pirate", "robot": "robot", "android": "robot", "wizard": "wizard",
    "sorcerer": "wizard", "king": "royal", "queen": "royal", "cowboy": "cowboy", "sheriff": "cowboy", "butler": "formal",
}
ADJECTIVES = """kind old young wise small tall brave clever patient famous humble retired friendly helpful strange lucky
mysterious skilled wandering loyal gentle busy careful""".split()

FILLER = """about above across after again air allow almost always amount animal answer appear area arm army art ask attack
autumn away back bag ball bank base bath beautiful because become bed before begin behind believe bell bend better between
big bird bit blade blood board body bone book bottle bottom bowl box boy branch brass brick bright bring broken brother
bucket build burn business button buy call camera card care carry case catch cause certain chain chance change character
cheap chief child choose church circle clean clear cloth cloud coal coat cold collar color comb come comfort committee
common company compare complete condition connect consent context continue control copper copy cord cork corner cost cotton
cough count country cover cow crack create creative credit crime cruel crush cry cup current curtain curve cushion damage
danger dark data daughter day dead dear death debt decide deep degree delicate depend design desire detail develop device
dialogue different digital direction dirty discover discuss disease distance divide door doubt drain drawer dress drink drive
dust ear early earth east edge educate effect egg elastic electric end engage engine enough equal error ethical even event
every example exchange exist expand expect expert explain express extra eye face fact fall false family far farm fat father
fear feather feel female fertile fiction field fight find finger fire first fix flag flame flat flight floor flow fly fold
follow food fool foot force foreign form format forward fowl frame free frequent friend front full function future garden
general girl give glass glove go goat good govern grain grand grip group grow guess guide gun habit hair hammer hand happen
harbor hard harmony have head health hear heart heat help high history hole hollow hook horn hospital hour human humor ice
idea ignore ill imagine important impulse include increase industry ink insect inside instrument insurance interest internet
invent iron island jelly jewel join journey judge jump keep kettle key kick kind kiss knee knife knot know language last late
laugh law lead leaf learn leather left leg letter level library lift light like limit line linen lip liquid list listen live
lock long look loose lose loud love low machine make male manager map mark markdown market mass match material maybe meal
measure meat medical meet memory message metal middle military milk mind mine minute mix model money monkey month moon
morning mother motion mountain mouth move much muscle music nail name narrow nation natural near neck need needle nerve net
network never new news night noise normal north nose note number nut observe offer office oil old open operate opinion
opposite orange order organ ornament other oven over owner page pain paint paper paragraph parallel part past paste pay peace
pen pencil perfect person physical picture pig pin pipe place plane plant plate play please pleasure plot plough pocket point
poison polish political poor porter position possible pot potato powder power present price print prison private probable
problem process produce profit program property prose protest public pull pump punish purpose push put quality question quick
quiet quite quote rail rain range rat rate ray reaction read ready reason receipt record regret relation religion remember
repeat repetition reply report represent request respect response rest reward rhythm rice right ring river road rod roll roof
room root rough round rub rule run sad safe sail salt same sand say scale scenario school science scissors screw sea seat
second secret secretary see seed seem selection self send sense separate serious servant set shade shake shame sharp sheep
shelf ship shirt shock shoe short show shut side sign silk simple sister size skin skirt sky sleep slip slope slow small
smash smell smile smoke smooth snake sneeze snow soap society sock soft solid son song sort sound soup south space spade
special sponge spoon spring square stage stamp star start statement station stay steam steel stem step stick stiff stitch
stocking stomach stone stop store story straight strange street stretch strong structure style substance sudden sugar
suggest summer support surprise sweet swim system table tail take talk tall taste tax teach tendency test theory thick thin
thing think thought thread throat through thumb thunder ticket tight time tin tired title toe together token tongue tooth top
topic touch town trade train transport tray tree trick trouble trousers true turn twist umbrella under unit upload use user
value verse version vessel view violent virtual voice waiting walk wall war warm wash waste watch water wave wax way weather
week weight west wet wheel whip whistle wide wind window wine wing winter wire wise woman wonder wood wool word work world
worm wound write wrong year yellow yes yesterday young zone""".split()
SMALL = """the the the the a a an of of of to to and and in in is are was for on with as at by from that this it its they their your our we he
she be has have had not or but if then when who which what all any more most only also than so such into over out up down will would
can could should may must do does did been were there here one two some no yes very just because while between during without""".split()
PLACES = "France Japan Peru Kenya Norway Spain Berlin Tokyo Cairo Lima Oslo Madrid Boston Delhi Seoul Dublin Vienna Prague Athens Chicago".split()
HELD_PLACES = "Lisbon Havana Nairobi Quito Helsinki Zagreb".split()
LANGUAGES = "French German Spanish Chinese Japanese Italian Latin Russian Arabic Korean Dutch Greek".split()
CODING = "Python,JavaScript,Go,Rust,C,Java,SQL,bash,HTML,TypeScript".split(",")

CJK = "的一是不了人我在有他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后小么心多天而能好都然没日于起还发成事只作当想看文无开手十用主行方又如前所本见经头面公同三已老从动两长知民样现分将外但身些与高意进把法此实回二理美点月明其种声全工己话儿者向情部正名定女问力机给等几很业最间新什打便位因重被走电四第门相次东政海口使教西再平真听世气信北少关并内加化由却代军产入先山五太水万市眼体别处总才场师书比住员九笑性通目华报立马命张活难神数件安表原车白应路期叫死常提感金何更反合放做系计或司利受光王果亲界及今京务制解各任至清物台象记边共风战干接它许八特觉望直服毛林题建南度统色字请交爱让认算论百吃义科怎元社术结六功指思非流每青管夫连远资队跟带花快条院变联权往展该领传近留红治决周保达办运武半候七必城父强步完革深区即求品士转量空甚众技轻程告江语英基派满式李息写呢识极令黄德收脸钱党倒未持取设始版双历越史商千片容研像找友孩站广改议形委早房音火际则首单据导影失拿网香似斯专石若兵弟谁校读志飞观争究包组造落视济喜离虽坏兴切"
FOREIGN = """Bonjour, comment ça va?|Wie geht es dir?|¿Cómo estás?|Hola, ¿qué tal?|Guten Morgen!|Merci beaucoup|Was ist das?
Je ne sais pas|Où est la gare?|Ich verstehe nicht|Buenas noches|¿Dónde está la biblioteca?|Ciao, come stai?|Привет, как дела?
Что это такое?|Расскажи мне сказку|こんにちは|お元気ですか|안녕하세요|مرحبا كيف حالك|Γειά σου|Olá, tudo bem?|Hvordan har du det?|Hoe gaat het?
Kannst du mir helfen?|Quelle heure est-il?|Cuéntame un cuento|Schreib ein Gedicht|Écris un poème|今日はいい天気ですね""".replace("\n", "|").split("|")

ONSETS = "b c d f g h j k l m n p r s t v w y z br bl ch cl cr dr fl fr gl gr kh ph pl pr qu sc sh sk sl sm sn sp st str sw th tr tw wh x".split() + [""] * 4
VOWELS = "a e i o u a e i o u y ai ea ee oo ou ie ia au oa ei".split()
CODAS = "n r l s t m d k p g x th nd st rk ll ss ck sh ng nt mp lm rd tch gh ft b z w".split() + [""] * 24


def invented(rng, low=1, high=4):
    """A word of a few syllables that no dictionary has, and how many syllables it has."""
    n = rng.randint(low, high)
    word = "".join(rng.choice(ONSETS) + rng.choice(VOWELS) + (rng.choice(CODAS) if rng.random() < 0.6 or i == n - 1 else "")
                   for i in range(n))
    return word, n


def bent(rng):
    """A dictionary word with a letter or two changed: looks like a real unseen word."""
    word = list(rng.choice(FILLER))
    for _ in range(rng.randint(1, 2)):
        word[rng.randrange(len(word))] = rng.choice("abcdefghijklmnoprstuvwyz")
    word = "".join(word) + rng.choice(["", "", "s", "er", "ing", "y", "ette", "ville", "ton"])
    return word, syllables(word)


def syllables(word):
    """A rough count: groups of vowels, a silent final e not counted."""
    n, before = 0, False
    for ch in word.lower():
        vowel = ch in "aeiouy"
        n += vowel and not before
        before = vowel
    if word.endswith("e") and n > 1:
        n -= 1
    return max(n, 1)
