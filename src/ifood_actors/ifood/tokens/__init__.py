"""
Tokens and secrets: stored encrypted, shared by all processes, refreshed by one at a time.

refresh (gives tokens) · refusals (what a refusal means) · authorize (the userCode flow) ·
store, token_statements (the rows) · registration (applications) · cipher, rotation (secrets)
"""

from ifood_actors.ifood.tokens.authorize import Authorizer
from ifood_actors.ifood.tokens.cipher import Cipher
from ifood_actors.ifood.tokens.refresh import Tokens
from ifood_actors.ifood.tokens.registration import register_app
from ifood_actors.ifood.tokens.store import fresh_for

__all__ = ["Authorizer", "Cipher", "Tokens", "fresh_for", "register_app", "rotation"]
