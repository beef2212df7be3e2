import pytest
from hypothesis import given
from hypothesis import strategies as st

from ifood_actors.accounts.identifiers import (
    canonical_id,
    check_digits,
    cnpj,
    formatted_cnpj,
    merchant_id,
)

ID = "0b9a3c5e-6f0e-4a4e-9f8e-3f1d2c3b4a59"

SPELLINGS = [
    str.upper,
    lambda id_: f"{{{id_}}}",
    lambda id_: f"{{{id_.upper()}}}",
    lambda id_: f"urn:uuid:{id_}",
    lambda id_: f"URN:UUID:{id_.upper()}",
    lambda id_: id_.replace("-", ""),
    *(
        lambda id_, hyphen=hyphen: id_.replace("-", hyphen)
        for hyphen in "\u2010\u2011\u2012\u2013\u2212"
    ),
    lambda id_: f"  {id_}\t",
    lambda id_: f"\u00a0{id_}\u202f",
    lambda id_: f"\ufeff{id_}\u200b",
    lambda id_: f'"{id_}"',
    lambda id_: f"'{id_}'",
    lambda id_: f"\u201c{id_}\u201d",
    lambda id_: f'="{id_}"',
    lambda id_: f'="{{{id_.upper()}}}"',
]


@given(spell=st.sampled_from(SPELLINGS), id_=st.uuids())
def test_every_spelling_of_a_merchant_id_is_the_one_that_ifood_writes(spell, id_):
    assert merchant_id(spell(str(id_))) == str(id_)


@pytest.mark.parametrize(
    ("text", "looks_like"),
    [
        ("4078865", "this looks like the short number that iFood's portal shows"),
        ("1000", "this looks like the short number"),
        ("1,12223E+13", "a spreadsheet has rounded this number: format the column as text"),
        ("1.12E13", "a spreadsheet has rounded this number"),
        ("12.345.678/0001-95", "this looks like a CNPJ"),
        ("12345678000195", "this looks like a CNPJ"),
        ("12ABC34501DE35", "this looks like a CNPJ"),
        ("1.234.567,89", "this looks like a number"),
        (ID[:-1], "groups of 8, 4, 4, 4 and 12 digits make 32, here are 31"),
        (ID + "0", "here are 33"),
        (ID.replace("-", "", 1), "here are 32"),
    ],
)
def test_what_is_no_merchant_id_is_told_what_it_looks_like(text, looks_like):
    with pytest.raises(ValueError, match="expected a merchant id") as caught:
        merchant_id(text)

    assert looks_like in caught.value.args[1]


@pytest.mark.parametrize("text", ["Loja Centro", f"{ID} {ID}", f"{{{ID}", "g" * 32, f"{ID}/sales"])
def test_a_text_is_no_merchant_id(text):
    with pytest.raises(ValueError, match="expected a merchant id"):
        merchant_id(text)


@given(st.text(max_size=60))
def test_any_text_is_a_merchant_id_or_refused(text):
    found = canonical_id(text)

    assert found is None or merchant_id(found) == found


# 00000000000191 is Banco do Brasil's; the two with letters are the examples of Receita Federal.
REAL = ["00000000000191", "14380200000121", "12ABC34501DE35", "12345678000195"]


@pytest.mark.parametrize("digits", REAL)
def test_a_cnpj_is_read_bare_and_formatted(digits):
    assert cnpj(digits) == digits
    assert cnpj(formatted_cnpj(digits)) == digits
    assert cnpj(f" '{formatted_cnpj(digits).lower()}\u00a0") == digits
    assert cnpj(f'="{digits}"') == digits


@given(st.from_regex(r"[1-9A-Z][0-9A-Z]{11}", fullmatch=True), st.integers(1, 99))
def test_of_all_check_digits_only_two_make_a_cnpj(first, by):
    right = check_digits(first)
    wrong = f"{(int(right) + by) % 100:02}"

    assert cnpj(first + right) == first + right
    with pytest.raises(ValueError, match="expected a CNPJ"):
        cnpj(first + wrong)


@pytest.mark.parametrize(
    "text",
    [
        "12345678000194",  # the last digit
        "12ABC34501DE53",  # the check digits the other way round
        "12ABC34501DEAB",  # letters in their place
        "00000000000000",
        "11144477735",  # a CPF
        "1,23457E+13",
        "Loja",
    ],
)
def test_what_is_no_cnpj_is_refused(text):
    with pytest.raises(ValueError, match="expected a CNPJ"):
        cnpj(text)


def test_zeros_that_a_spreadsheet_took_from_a_cnpj_are_put_back():
    first = "001234560001"
    digits = first + check_digits(first)

    assert cnpj(digits.lstrip("0")) == digits
