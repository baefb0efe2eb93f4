"""Carbon intensity of electricity by region: CO2e = energy x intensity (arXiv:2302.08476).

Yearly means of the generation in a region, each with its source and year. Imports, the hour of the
day and the manufacturing of machines are not included. Countries: Ember, yearly electricity data,
CO2e over the life of the plants. States of the USA: EPA eGRID2016, direct CO2 emissions only;
Georgia and Kentucky: the newer figures that EnergyVis (arXiv:2103.16435) takes from NREL.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from functools import lru_cache

from pytest_greenops.model.carbon_factor import CarbonFactor
from pytest_greenops.model.errors import InsightError
from pytest_greenops.model.units import GRAMS_PER_KWH

_EMBER = "Ember, yearly electricity data"
_EGRID = "EPA eGRID2016, CO2 alone"
_NREL = "NREL, in EnergyVis (arXiv:2103.16435)"
_LB_PER_MWH = GRAMS_PER_KWH["lb/kWh"] / 1000

#: Source, year, grams per kWh of one unit of the table, prefix of its codes, and the table. A later
#: table overrides an earlier one.
_TABLES: tuple[tuple[str, int, float, str, str], ...] = (
    (
        *(_EMBER, 2024, 1.0, ""),
        """
        AE 467.51 AR 344.83 AT 102.62 AU 553.76 BE 117.58 BG 264.21 BR 106.06 CA 184.99 CH 36.72
        CL 265.52 CN 557.5 CO 285.8 CZ 413.86 DE 342.06 DK 143.3 EE 341.02 EG 574.5 ES 146.15
        FI 72.25 FR 44.18 GB 215.79 GR 319.76 HR 174.48 HU 182.82 IE 279.79 IN 708.96 IT 287.75
        JP 483.73 KE 84.83 KR 415.65 LT 139.34 LU 134.62 LV 136.22 MX 483.14 MY 604.43 NG 507.85
        NL 252.7 NO 30.75 NZ 120.11 PH 613.38 PK 398.61 PL 614.98 PT 111.8 RO 245.55 RS 670.8
        SA 691.95 SE 35.89 SG 498.74 SI 227.11 SK 96.49 TH 555.43 TR 469.7 TW 635.15 US 383.55
        VN 486.13 ZA 713.9
        """,
    ),
    (*(_EMBER, 2023, 1.0, ""), "HK 681.99 ID 682.43 IL 567.26 IS 28.33"),
    (
        *(_EGRID, 2016, _LB_PER_MWH, "US-"),
        """
        AK 925.862 AL 912.917 AR 1115.65 AZ 932.225 CA 452.541 CO 1468.373 CT 498.467 DC 481.786
        DE 887.415 FL 1024.205 GA 1001.754 HI 1522.102 IA 997.858 ID 188.695 IL 811.318 IN 1812.703
        KS 1195.553 KY 1954.301 LA 878.85 MA 821.327 MD 1012.682 ME 336.964 MI 1099.854 MN 1012.67
        MO 1687.742 MS 940.716 MT 1251.022 NC 867.441 ND 1663.754 NE 1281.153 NH 310.564 NJ 557.822
        NM 1572.786 NV 769.912 NY 464.02 OH 1465.96 OK 1043.716 OR 305.891 PA 855.444 RI 870.822
        SC 629.428 SD 513.316 TN 992.271 TX 1049.527 UT 1627.372 VA 813.802 VT 56.89 WA 186.844
        WI 1388.88 WV 1975.757 WY 2026.26
        """,
    ),
    (*(_NREL, 2020, GRAMS_PER_KWH["lb/kWh"], "US-"), "GA 0.6485 KY 1.8376"),
)

#: Codes of two and three letters and the name of each country; then codes and names of states.
_COUNTRIES = """
    AE ARE United Arab Emirates/ AR ARG Argentina/ AT AUT Austria/ AU AUS Australia/
    BE BEL Belgium/ BG BGR Bulgaria/ BR BRA Brazil/ CA CAN Canada/ CH CHE Switzerland/
    CL CHL Chile/ CN CHN China/ CO COL Colombia/ CZ CZE Czechia/ DE DEU Germany/ DK DNK Denmark/
    EE EST Estonia/ EG EGY Egypt/ ES ESP Spain/ FI FIN Finland/ FR FRA France/
    GB GBR United Kingdom/ GR GRC Greece/ HK HKG Hong Kong/ HR HRV Croatia/ HU HUN Hungary/
    ID IDN Indonesia/ IE IRL Ireland/ IL ISR Israel/ IN IND India/ IS ISL Iceland/ IT ITA Italy/
    JP JPN Japan/ KE KEN Kenya/ KR KOR South Korea/ LT LTU Lithuania/ LU LUX Luxembourg/
    LV LVA Latvia/ MX MEX Mexico/ MY MYS Malaysia/ NG NGA Nigeria/ NL NLD Netherlands/
    NO NOR Norway/ NZ NZL New Zealand/ PH PHL Philippines/ PK PAK Pakistan/ PL POL Poland/
    PT PRT Portugal/ RO ROU Romania/ RS SRB Serbia/ SA SAU Saudi Arabia/ SE SWE Sweden/
    SG SGP Singapore/ SI SVN Slovenia/ SK SVK Slovakia/ TH THA Thailand/ TR TUR Turkey/
    TW TWN Taiwan/ US USA United States/ VN VNM Vietnam/ ZA ZAF South Africa
"""
_STATES = """
    AK Alaska/ AL Alabama/ AR Arkansas/ AZ Arizona/ CA California/ CO Colorado/ CT Connecticut/
    DC District of Columbia/ DE Delaware/ FL Florida/ GA Georgia/ HI Hawaii/ IA Iowa/ ID Idaho/
    IL Illinois/ IN Indiana/ KS Kansas/ KY Kentucky/ LA Louisiana/ MA Massachusetts/ MD Maryland/
    ME Maine/ MI Michigan/ MN Minnesota/ MO Missouri/ MS Mississippi/ MT Montana/
    NC North Carolina/ ND North Dakota/ NE Nebraska/ NH New Hampshire/ NJ New Jersey/
    NM New Mexico/ NV Nevada/ NY New York/ OH Ohio/ OK Oklahoma/ OR Oregon/ PA Pennsylvania/
    RI Rhode Island/ SC South Carolina/ SD South Dakota/ TN Tennessee/ TX Texas/ UT Utah/
    VA Virginia/ VT Vermont/ WA Washington/ WI Wisconsin/ WV West Virginia/ WY Wyoming
"""
#: Other words for a region.
_ALSO = {"UK": "GB", "ENGLAND": "GB", "GREAT BRITAIN": "GB", "HOLLAND": "NL", "KOREA": "KR"}


def factor_of(region: str, pue: float = 1.0) -> CarbonFactor:
    """Return the intensity of a region: an ISO country code, or a state of the USA as `US-GA`.

    Raises `InsightError` for a region that is not in the table, with those that it may mean.
    """
    code = region.strip().upper()
    for factor in regions():
        if factor.region == code:
            return CarbonFactor(factor.grams_per_kwh, pue, code, factor.source, factor.year)
    near = [f"{each} ({region_names()[each]})" for each in _nearest(code)]
    hint = f"; the nearest: {', '.join(near)}" if near else ""
    raise InsightError(
        f"no carbon intensity is known for region {region!r}{hint}: list all codes with "
        "pytest-greenops whatif regions"
    )


def regions() -> tuple[CarbonFactor, ...]:
    """Return every region, sorted by code."""
    known = {str(factor.region): factor for factor in _read()}
    return tuple(known[code] for code in sorted(known))


def _read() -> Iterator[CarbonFactor]:
    for source, year, unit, prefix, table in _TABLES:
        words = table.split()
        for code, figure in zip(words[::2], words[1::2], strict=True):
            yield CarbonFactor(float(figure) * unit, region=prefix + code, source=source, year=year)


@lru_cache
def region_names() -> dict[str, str]:
    """Return the name of each region by its code: `{'DE': 'Germany', 'US-DE': 'Delaware'}`."""
    countries = (entry.split(maxsplit=2) for entry in _COUNTRIES.split("/"))
    states = (entry.split(maxsplit=1) for entry in _STATES.split("/"))
    return {
        **{code: _line(name) for code, _, name in countries},
        **{f"US-{code}": _line(name) for code, name in states},
    }


def _line(text: str) -> str:
    return " ".join(text.split())


def _nearest(text: str) -> list[str]:
    """Return the codes of regions that a text in capitals may mean; none if nothing is alike."""
    names = region_names()
    by_name = {name.upper(): code for code, name in names.items()}
    longer = {entry.split()[1]: entry.split()[0] for entry in _COUNTRIES.split("/")}
    known = {**by_name, **longer, **_ALSO}
    exact = [code for code in (known.get(text), f"US-{text}") if code in names]
    if exact or (len(text) > 3 and not text.startswith("US-")):
        return exact or [
            by_name[name] for name in difflib.get_close_matches(text, by_name, 3, 0.75)
        ]
    return [code for code in names if text[:2] and code.startswith(text[:2])][:3]
