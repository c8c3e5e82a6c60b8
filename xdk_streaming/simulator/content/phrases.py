# ruff: noqa: RUF001 - letters of many scripts look alike, and here they are meant
"""Phrases for generated posts: sentences, hashtags and emoji in the scripts that readers of X must handle.

Knows words and how to build a text from them; does not know posts, users and ids. No sentence has an at
sign, a number sign, a dollar sign or a link, so that each of them appears in a text only where it was
inserted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Phrasebook(NamedTuple):
    """Phrases in one language: sentences of 22 to 62 characters, and hashtags of at most 14."""

    sentences: tuple[str, ...]
    hashtags: tuple[str, ...]


# Keys are X's language codes: Hebrew is "iw" (docs.x.com/x-api/posts/filtered-stream/integrate/operators).
LANGUAGES: Mapping[str, Phrasebook] = {
    "en": Phrasebook(
        (
            "The last train left without me, so I walked home singing.",
            'She said "ship it" and then went on holiday.',
            "Who moved the backups to C:\\temp\\new without asking?",
            "Three hours in the queue and the soup was worth it.",
            "Rain again, but the tomatoes on the balcony are happy.",
            "New blog post: why our deploys got slower every spring.",
        ),
        ("rainyday", "buildinpublic", "MondayMood"),
    ),
    "es": Phrasebook(
        (
            "¿Alguien más se ha quedado sin luz en el centro?",
            "El café de mañana lo pago yo, que ganamos por fin.",
            "Mi abuela dice que el año que viene será mejor.",
            "Llevo todo el día intentando arreglar la lavadora.",
            "Qué partidazo, todavía me tiemblan las piernas.",
        ),
        ("Felicidades", "mañana", "vamos"),
    ),
    "pt": Phrasebook(
        (
            "Não acredito que já é sexta-feira outra vez.",
            "Alguém aí sabe onde fica a melhor feijoada da cidade?",
            "Choveu tanto que a rua virou um rio de verdade.",
            "O ônibus atrasou, mas a conversa com o vizinho valeu.",
            "Gol aos 48 do segundo tempo, que coração aguenta?",
            'Minha mãe respondeu só com um "tá bom" e sumiu.',
        ),
        ("sextou", "coração", "bomdia"),
    ),
    "fr": Phrasebook(
        (
            "Le marché était fermé, alors on a mangé des crêpes.",
            "Ça fait deux jours que l'ascenseur est en panne.",
            "J'ai enfin retrouvé mes clés… dans le frigo.",
            "Où peut-on voir la mer sans voir de parking ?",
        ),
        ("apéro", "déjàvu", "Noël"),
    ),
    "tr": Phrasebook(
        (
            "İstanbul'da kar var, vapurlar yine iptal oldu.",
            "Çayı demledim, gelen gelsin, kapı açık.",
            "Şu diziyi bitirmeden uyuyamayacağım galiba.",
            "Iğdır'dan ılık bir selam gönderiyorum herkese.",
        ),
        ("günaydın", "İstanbul", "çay"),
    ),
    "ru": Phrasebook(
        (
            "Снег выпал ночью, а дворник уже всё убрал.",
            "Кто-нибудь видел мою кошку? Рыжая, зовут Булка.",
            "Электричку отменили, зато мы спели под гитару.",
            "Сегодня сервер не упал ни разу. Подозрительно.",
            "Бабушка прислала варенье и десять голосовых.",
        ),
        ("доброеутро", "Москва", "ёлка"),
    ),
    "uk": Phrasebook(
        (
            "Сьогодні вперше за тиждень вийшло сонце.",
            "Їду потягом до Львова, книжка вже закінчилась.",
            "Хто знає, де тут продають справжній мед?",
            "Ґанок пофарбували, тепер чекаємо на гостей.",
        ),
        ("Київ", "добрийранок", "їжа"),
    ),
    "ar": Phrasebook(
        (
            "القطار تأخر ساعة كاملة والناس تضحك في المحطة.",
            "من يعرف مطعمًا جيدًا قريبًا من البحر؟",
            "أخيرًا انتهيت من المشروع، والحمد لله.",
            "صباح الخير لكل من استيقظ قبل الشمس.",
            "قال لي: «انتظر قليلًا»، وما زلت أنتظر.",
        ),
        ("صباح_الخير", "الرياض", "كرة_القدم"),
    ),
    "iw": Phrasebook(
        (
            "האוטובוס איחר, אבל הנהג חילק לכולם תפוזים.",
            "מישהו יודע מתי הגשם אמור להיפסק היום?",
            "סוף סוף מצאתי את השיר שחיפשתי שנים.",
            "שָׁלוֹם לכולם מהמרפסת הכי קטנה בעיר.",
        ),
        ("תלאביב", "בוקרטוב", "חורף"),
    ),
    "hi": Phrasebook(
        (
            "आज सुबह की चाय के साथ बारिश भी मिल गई।",
            "ट्रेन दो घंटे देर से आई, पर गाना अच्छा था।",
            "किसी ने मेरी नीली छतरी देखी है क्या?",
            "क्रिकेट का मैच देखकर आवाज़ ही चली गई।",
        ),
        ("सुप्रभात", "दिल्ली", "बारिश"),
    ),
    "th": Phrasebook(
        (
            "ฝนตกหนักมากจนน้ำท่วมหน้าบ้านอีกแล้ว",
            "ใครรู้บ้างว่าร้านก๋วยเตี๋ยวเจ้าเก่าย้ายไปไหน",
            "วันนี้รถไม่ติดเลย แปลกใจมากจริงๆ",
            "ขอบคุณทุกคนที่มาดูคอนเสิร์ตเมื่อคืนนี้",
        ),
        ("กรุงเทพ", "สวัสดี", "ฝนตก"),
    ),
    "ja": Phrasebook(
        (
            "終電を逃したので、歌いながら歩いて帰ることにした。",
            "今日のラーメンは行列に三時間並んだ価値があったと思う。",
            "猫がキーボードの上で寝ているから、仕事が進まない。",
            "「あとで直す」と言った人は、もう三年も戻ってこない。",
            "ﾊﾝｶｸとゼンカクを混ぜると、ｗｗｗ幅が全然わからない。",
            "𠮷野家で𩸽の定食を待つ、雨の日の静かな昼休みです。",
        ),
        ("おはよう", "猫のいる暮らし", "ラーメン"),
    ),
    "ko": Phrasebook(
        (
            "막차를 놓쳐서 노래를 부르며 집까지 걸어왔어요.",
            "오늘 점심은 김치찌개인데 같이 드실 분 계세요?",
            "드디어 콘서트 표를 샀다, 손이 아직도 떨린다.",
            "비가 오니까 파전 생각이 나는 건 저뿐인가요?",
            "고양이가 또 새벽 네 시에 밥을 달라고 깨웠다.",
        ),
        ("좋은아침", "서울", "고양이"),
    ),
    "zh": Phrasebook(
        (
            "末班车开走了，我只好一边唱歌一边慢慢地走回家去。",
            "有人知道附近哪里还能买到小时候的那种绿豆冰棍吗？",
            "服务器今天一次都没有宕机，我反而有点睡不着觉了。",
            "外婆说明年会更好，然后又给我装了满满一袋子橘子。",
        ),
        ("早安", "上海", "周末愉快"),
    ),
}

SPOKEN = ("en", "ja", "en", "es", "pt", "ar", "ko", "th", "tr", "hi", "ru", "fr", "ja", "zh", "iw", "uk")
"""The distribution of languages: sixteen entries, so that four bits choose one."""

# Also sixteen. U+2028, U+2029 and U+0085 may appear unescaped in a JSON string; a reader that treats them as
# line ends cuts the item in two.
JOINTS = (*[" "] * 9, "\n", "\n\n", "\u2028", "\u2029", "\u0085", ' "', "\t\\ ")

EMOJI = (
    "😂", "🔥", "❤️", "👍🏽", "1️⃣", "🇯🇵", "🇧🇷🇰🇷", "👩‍👩‍👧‍👦",
    "🏳️‍🌈", "🧑🏿‍🚀", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "👨‍❤️‍👨", "🐈‍⬛", "🥲", "🫠", "☕",
)  # fmt: skip

CASHTAGS = ("TSLA", "BTC", "NVDA", "SONY")


class Composition(NamedTuple):
    """A text, and the parts inserted into it; a missing part is empty."""

    text: str
    mention: str
    hashtag: str
    cashtag: str
    link: str


def compose(language: str, chance: int, mention: str) -> Composition:
    """A text of 30 to 280 characters in `language` that mentions a user; `chance` has 64 uniform bits."""
    sentences, hashtags = LANGUAGES[language]
    first = (chance >> 4) % len(sentences)
    body = sentences[first]
    for more in range((0, 1, 1, 2)[chance >> 8 & 3]):
        joint = JOINTS[chance >> (10 + 4 * more) & 15]
        body += joint + sentences[(first + 1 + more) % len(sentences)]
    parts = [f"@{mention}", body] if chance >> 18 & 1 else [body, f"@{mention}"]
    if chance >> 19 & 1:
        parts.append(EMOJI[chance >> 20 & 15])
    hashtag = cashtag = link = ""
    if chance >> 24 & 3:
        hashtag = hashtags[(chance >> 26) % len(hashtags)]
        parts.append("#" + hashtag)
    if not chance >> 28 & 7:
        cashtag = CASHTAGS[chance >> 31 & 3]
        parts.append("$" + cashtag)
    if chance >> 33 & 1:
        link = short_link(chance)
        parts.append(link)
    return Composition(" ".join(parts), mention, hashtag, cashtag, link)


def short_link(chance: int) -> str:
    """A link of 23 characters, as X shortens all links."""
    return f"https://t.co/{chance >> 24:010x}"
