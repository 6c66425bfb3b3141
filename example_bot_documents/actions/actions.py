"""The answer to the last message as a custom action, for bots that have an action server.

Rasa 3 runs custom actions on a server of their own, which `rasa run actions` starts. Name `action_answer` under
`actions` in the domain, use it in data/rules.yml instead of `utter_answer`, and uncomment `action_endpoint` in
endpoints.yml.
"""

from rasa_sdk import Action


class ActionAnswer(Action):
    """Sends the answer and the document that it is from."""

    def name(self):
        return "action_answer"

    def run(self, dispatcher, tracker, domain):
        answer = tracker.latest_message.get("answer")
        dispatcher.utter_message(text=f"{answer['text']} ({answer['document']})" if answer else "I don't know.")
        return []
