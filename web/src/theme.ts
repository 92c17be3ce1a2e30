// Light, dark, or what the system has.

const KEY = 'hevitpose-theme';

export function startThemes(fieldset: HTMLElement): void {
  const kept = localStorage.getItem(KEY) ?? 'auto';
  apply(kept);
  for (const input of fieldset.querySelectorAll<HTMLInputElement>('input')) {
    input.checked = input.value === kept;
    input.addEventListener('change', () => {
      localStorage.setItem(KEY, input.value);
      apply(input.value);
    });
  }
}

function apply(theme: string): void {
  if (theme === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}
