"""Prints holidays.txt: national public holidays by the package `holidays` (MIT licence).

    .venv/bin/python shared/src/marks/list_holidays.py > shared/src/marks/holidays.txt
"""

from collections import defaultdict

import holidays

COUNTRIES = (
    "AT AU BE BR CA CH CZ DE DK ES FI FR GB IE IN IT JP MX NL NO NZ PL PT SE SG US ZA".split()
)
FIRST, LAST = 2025, 2035

print(f"# National public holidays {FIRST}-{LAST}: package holidays {holidays.__version__} (MIT), list_holidays.py. Do not edit.")
for country in COUNTRIES:
    dates = defaultdict(set)
    supported = holidays.country_holidays(country).supported_languages
    language = "en_US" if "en_US" in supported else None
    for day, names in holidays.country_holidays(country, years=range(FIRST, LAST + 1), language=language).items():
        for name in names.split("; "):
            dates[name].add(day)
    for name, days in sorted(dates.items(), key=lambda item: (min(item[1]), item[0])):
        yearly = {day.strftime("%m-%d") for day in days}
        every_year = len(days) == LAST - FIRST + 1 and len(yearly) == 1
        shown = sorted(yearly) if every_year else [day.isoformat() for day in sorted(days)]
        print(f"{country}|{name}|{' '.join(shown)}")
