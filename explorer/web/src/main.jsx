import './workers.js';
import '@graphiql/react/style.css';
import '@graphiql/plugin-doc-explorer/style.css';
import '@graphiql/plugin-history/style.css';
import 'graphiql/graphiql.css';
import './style.css';

import { GraphiQL } from 'graphiql';
import { createRoot } from 'react-dom/client';

import clew from './clew.svg';
import { fetcher } from './fetcher.js';
import { isFirstVisit, storage } from './storage.js';
import tabs from './tabs.json';

// GraphiQL titles a tab after its operation, so the names in tabs.json are for the reader of that file.
const defaultTabs = tabs.map(({ query, variables }) => ({
  query,
  variables: variables && JSON.stringify(variables, null, 2),
}));

// GraphiQL shows the first default tab without its variables unless they are also given as the initial ones.
const initialVariables = isFirstVisit() ? defaultTabs[0].variables : undefined;

createRoot(document.getElementById('root')).render(
  <GraphiQL
    fetcher={fetcher}
    storage={storage}
    defaultTabs={defaultTabs}
    initialVariables={initialVariables}
    defaultEditorToolsVisibility="variables"
    shouldPersistHeaders={false}
  >
    <GraphiQL.Logo>
      <span className="clew-logo">
        <img src={clew} alt="" />
        Clew explorer
      </span>
    </GraphiQL.Logo>
  </GraphiQL>,
);
